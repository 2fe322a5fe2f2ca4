import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

/** Threads, garbage collection under load, files by NIO, timers, a watched folder. */
public class Busy {
    public static void main(String[] arguments) throws Exception {
        collect();
        files();
        timers();
        watch();
        System.out.println("the end");
    }

    static void collect() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(16);
        List<Future<Long>> parts = new ArrayList<>();
        for (int task = 0; task < 64; task++) {
            final int seed = task;
            parts.add(pool.submit(() -> {
                Map<Integer, byte[]> kept = new HashMap<>();
                long sum = 0;
                for (int round = 0; round < 20_000; round++) {
                    byte[] some = new byte[200 + (round * 31 + seed) % 3000];
                    some[7] = (byte) (round + seed);
                    kept.put(round % 100, some);
                    sum += kept.get(round % 100)[7];
                }
                return sum;
            }));
        }
        long sum = 0;
        for (Future<Long> part : parts) sum += part.get();
        pool.shutdown();
        System.out.println("sum " + sum + " ended " + pool.awaitTermination(10, TimeUnit.SECONDS));
    }

    static void files() throws Exception {
        Path path = Path.of("busy.bin");
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.wrap("hello channel".getBytes()));
            MappedByteBuffer mapped = channel.map(FileChannel.MapMode.READ_WRITE, 0, 8192);
            mapped.put(0, (byte) 'J');
            mapped.force();
            ByteBuffer read = ByteBuffer.allocate(13);
            channel.read(read, 0);
            System.out.println(new String(read.array()) + " of " + channel.size());
            try (FileLock lock = channel.tryLock()) {
                System.out.println("locked " + lock.isValid());
            }
            channel.truncate(5);
        }
        Files.copy(path, Path.of("copy.bin"), StandardCopyOption.REPLACE_EXISTING);
        Files.move(Path.of("copy.bin"), Path.of("moved.bin"));
        try (var names = Files.list(Path.of("."))) {
            names.map(Path::getFileName).map(Path::toString).filter(name -> name.endsWith(".bin")).sorted().forEach(System.out::println);
        }
        System.out.println(Files.readString(Path.of("moved.bin")));
    }

    static void timers() throws Exception {
        ScheduledExecutorService timers = Executors.newScheduledThreadPool(2);
        CountDownLatch left = new CountDownLatch(20);
        timers.scheduleAtFixedRate(left::countDown, 1, 2, TimeUnit.MILLISECONDS);
        System.out.println("ticked " + left.await(20, TimeUnit.SECONDS));
        timers.shutdownNow();
    }

    static void watch() throws Exception {
        Path folder = Files.createDirectory(Path.of("watched"));
        try (WatchService watcher = FileSystems.getDefault().newWatchService()) {
            folder.register(watcher, StandardWatchEventKinds.ENTRY_CREATE);
            Files.createFile(folder.resolve("new"));
            WatchKey key = watcher.poll(20, TimeUnit.SECONDS);
            for (WatchEvent<?> event : key.pollEvents()) System.out.println(event.kind() + " " + event.context());
        }
    }
}
