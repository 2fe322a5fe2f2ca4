//! tokio on files, timers, channels and a signal, on four worker threads.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{interval, sleep, timeout};

#[tokio::main(worker_threads = 4)]
async fn main() -> std::io::Result<()> {
    let (sender, mut receiver) = mpsc::channel(16);
    for task in 0..100_u64 {
        let sender = sender.clone();
        tokio::spawn(async move {
            let name = format!("file{task}");
            let mut file = tokio::fs::File::create(&name).await.expect("create");
            file.write_all(&vec![b'x'; 1000 + task as usize]).await.expect("write");
            file.flush().await.expect("flush");
            let mut text = Vec::new();
            tokio::fs::File::open(&name).await.expect("open").read_to_end(&mut text).await.expect("read");
            sleep(Duration::from_millis(task % 10)).await;
            sender.send(text.len() as u64).await.expect("send");
        });
    }
    drop(sender);
    let mut sum = 0;
    while let Some(len) = receiver.recv().await {
        sum += len;
    }
    println!("sum {sum}");

    let mut ticks = interval(Duration::from_millis(2));
    for _ in 0..10 {
        ticks.tick().await;
    }
    let late = timeout(Duration::from_millis(20), std::future::pending::<()>()).await;
    println!("ticked, timed out {}", late.is_err());

    let mut usr1 = signal(SignalKind::user_defined1())?;
    tokio::task::spawn_blocking(|| {
        std::thread::sleep(Duration::from_millis(20));
        unsafe extern "C" {
            fn raise(signal: i32) -> i32;
        }
        // SAFETY: raise(3) has no preconditions.
        unsafe { raise(10) };
    });
    usr1.recv().await;
    println!("signal, the end");
    Ok(())
}
