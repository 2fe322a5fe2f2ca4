// Go's runtime makes its own system calls, without any libc.
package main

import (
	"fmt"
	"sync"
)

func main() {
	var wait sync.WaitGroup
	results := make(chan int, 1000)
	for i := 0; i < 1000; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			results <- i * i
		}()
	}
	wait.Wait()
	close(results)
	sum := 0
	for n := range results {
		sum += n
	}
	defer func() { fmt.Println("go: recovered from:", recover()) }()
	fmt.Println("go: 1000 goroutines, sum of squares", sum)
	var nothing *int
	*nothing = 1
}
