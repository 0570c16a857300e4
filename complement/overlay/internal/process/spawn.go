package process

import (
	"os/exec"
	"runtime"
	"sync"
)

type launch struct {
	command *exec.Cmd
	done    chan<- error
}

var launches = sync.OnceValue(func() chan<- launch {
	queue := make(chan launch)
	go func() {
		runtime.LockOSThread()
		for next := range queue {
			next.done <- next.command.Start()
		}
	}()
	return queue
})

// spawn starts a command from a thread that lives as long as this program. The kernel sends a child its parent-death
// signal when the thread that started it ends, and Go's other threads end at any time.
func spawn(command *exec.Cmd) error {
	done := make(chan error)
	launches() <- launch{command, done}
	return <-done
}
