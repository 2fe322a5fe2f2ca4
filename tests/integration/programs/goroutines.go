// Goroutines, channels, GC under load, a recovered nil dereference, timers, files, panics.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type node struct {
	left, right *node
	data        [8]int
}

func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: tree(depth - 1), right: tree(depth - 1)}
}

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return 1 + n.left.count() + n.right.count()
}

func nilDereference() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = r.(error)
		}
	}()
	var n *node
	n.data[3] = 1
	return nil
}

func pipeline(workers, items int) int {
	in, out := make(chan int), make(chan int)
	var wg sync.WaitGroup
	for i := 0; i < workers; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range in {
				out <- n * n
			}
		}()
	}
	go func() {
		for i := 0; i < items; i++ {
			in <- i
		}
		close(in)
		wg.Wait()
		close(out)
	}()
	sum := 0
	for v := range out {
		sum += v
	}
	return sum
}

func main() {
	fmt.Println(runtime.GOOS, runtime.GOARCH)
	fmt.Println("pipeline", pipeline(100, 10000))
	for i := 0; i < 100; i++ {
		if err := nilDereference(); err == nil {
			fmt.Println("no error")
		} else if i == 0 {
			fmt.Println(err)
		}
	}
	debug.SetGCPercent(20)
	var wg sync.WaitGroup
	var total int64
	for g := 0; g < 8; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 20; i++ {
				atomic.AddInt64(&total, int64(tree(12).count()))
			}
		}()
	}
	wg.Wait()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println("nodes", total, "collected", stats.NumGC > 5)
	spin := int64(0)
	stop := make(chan bool)
	go func() { // never calls, never yields: preempted by a signal
		for {
			select {
			case <-stop:
				return
			default:
				spin++
			}
		}
	}()
	ticker := time.NewTicker(2 * time.Millisecond)
	for i := 0; i < 20; i++ {
		<-ticker.C
	}
	ticker.Stop()
	stop <- true
	fmt.Println("ticks")
	select {
	case <-make(chan int):
	case <-time.After(20 * time.Millisecond):
		fmt.Println("time limit")
	}
	ctx := make(chan os.Signal, 1)
	signal.Notify(ctx, syscall.SIGUSR1)
	syscall.Kill(syscall.Getpid(), syscall.SIGUSR1)
	fmt.Println("signal", <-ctx)

	os.MkdirAll("a/b/c", 0o755)
	for i := 0; i < 100; i++ {
		os.WriteFile(fmt.Sprintf("a/b/c/%03d", i), bytes.Repeat([]byte{byte(i)}, i*100), 0o644)
	}
	var names []string
	var size int64
	filepath.Walk("a", func(path string, info os.FileInfo, err error) error {
		names = append(names, path)
		if info.Mode().IsRegular() {
			size += info.Size()
		}
		return err
	})
	sort.Strings(names)
	fmt.Println(len(names), names[4], size)
	_, err := os.Open("missing")
	fmt.Println(err, errors.Is(err, os.ErrNotExist))
	r, w, _ := os.Pipe()
	go func() {
		for i := 0; i < 1000; i++ {
			fmt.Fprintf(w, "line %d\n", i)
		}
		w.Close()
	}()
	hash := sha256.New()
	buffer := make([]byte, 777)
	for {
		n, err := r.Read(buffer)
		hash.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	fmt.Printf("%x\n", hash.Sum(nil))
	var mutex sync.Mutex
	counter := 0
	for i := 0; i < 1000; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for k := 0; k < 100; k++ {
				mutex.Lock()
				counter++
				mutex.Unlock()
			}
		}()
	}
	wg.Wait()
	fmt.Println("counter", counter)
	defer fmt.Println("deferred")
	if len(os.Args) > 1 {
		panic("as asked")
	}
}
