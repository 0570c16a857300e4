package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"commonroom/complement/results"
	"commonroom/complement/suite"
)

// runner runs selected tests, a few packages at a time.
type runner struct {
	suite   *suite.Suite
	server  string
	logs    string
	jobs    int
	timeout time.Duration
	report  *report
}

// run runs all selections to their end, whatever becomes of the tests.
func (r *runner) run(ctx context.Context, selections []suite.Selection) error {
	var packages []string
	for _, selection := range selections {
		packages = append(packages, selection.Package)
	}
	slices.Sort(packages)
	programs, err := r.suite.Compile(ctx, slices.Compact(packages))
	if err != nil {
		return err
	}
	// The packages with the most tests go first, so that none of them is left over for one worker at the end.
	slices.SortStableFunc(selections, func(a, b suite.Selection) int { return len(b.Functions) - len(a.Functions) })
	queue := make(chan suite.Selection)
	var workers sync.WaitGroup
	problems := make([]error, max(r.jobs, 1))
	for i := range problems {
		workers.Go(func() {
			for selection := range queue {
				problems[i] = errors.Join(problems[i], r.runPackage(ctx, selection, programs[selection.Package]))
			}
		})
	}
	for _, selection := range selections {
		queue <- selection
	}
	close(queue)
	workers.Wait()
	return errors.Join(append(problems, ctx.Err())...)
}

// runPackage runs the tests of one package. When its program dies, what had not run yet runs in a new one.
func (r *runner) runPackage(ctx context.Context, selection suite.Selection, program string) error {
	started := time.Now()
	defer func() { r.report.took(selection.Package, time.Since(started)) }()
	var remaining []string
	for _, function := range selection.Functions {
		if err := os.RemoveAll(filepath.Join(r.logsOf(selection.Package), function.Name)); err != nil {
			return err
		}
		remaining = append(remaining, function.Name)
	}
	for len(remaining) > 0 && ctx.Err() == nil {
		results, problem := r.runProgram(ctx, selection, remaining, program)
		left := slices.DeleteFunc(slices.Clone(remaining), func(name string) bool {
			_, ran := results[test(selection.Package, name)]
			return ran
		})
		if len(left) == len(remaining) {
			return errors.Join(fmt.Errorf("%s runs none of its tests", selection.Package), problem)
		}
		remaining = left
	}
	return nil
}

func test(name, function string) results.Test {
	return results.Test{Package: name, Name: function}
}

// runProgram runs some test functions of a package in one process and returns what became of those that were reached.
func (r *runner) runProgram(
	ctx context.Context, selection suite.Selection, functions []string, program string,
) (results.Results, error) {
	scratch, err := os.MkdirTemp("", "complement-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	pattern := "^(" + strings.Join(functions, "|") + ")$"
	if selection.Subtests != "" {
		pattern += "/" + selection.Subtests
	}
	// test2json turns what the program prints into what go test -json would say.
	command := exec.CommandContext(ctx, "go", "tool", "test2json", "-t", program,
		"-test.v=test2json", "-test.timeout="+r.timeout.String(), "-test.run="+pattern)
	command.Dir = r.suite.Folder(selection.Package)
	command.Env = append(os.Environ(), "TMPDIR="+scratch, "COMMONROOM_BINARY="+r.server,
		"COMPLEMENT_LOGS="+r.logsOf(selection.Package))
	// A group of its own, so that an interrupt ends the program too and not only what stands before it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var problems strings.Builder
	command.Stderr = &problems
	if err := command.Start(); err != nil {
		return nil, err
	}
	found, err := r.follow(selection.Package, output)
	// Failed tests make it exit with an error too, which says nothing new.
	if exit := command.Wait(); err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: %s", exit, problems.String())
	}
	return found, err
}

// follow reads what a program says about its tests, until it ends.
func (r *runner) follow(name string, output io.Reader) (results.Results, error) {
	found := make(results.Results)
	stream := results.NewStream(name, found)
	printed := make(map[string]*strings.Builder)
	lines := bufio.NewScanner(output)
	// A test may print a whole event.
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		event, finished, err := stream.Add(lines.Bytes())
		if err != nil {
			return found, err
		}
		function := results.Test{Name: event.Test}.Top()
		if printed[function] == nil {
			printed[function] = new(strings.Builder)
		}
		printed[function].WriteString(event.Output)
		r.report.print(event.Output)
		if finished != nil && finished.Test == finished.Test.Function() {
			if err := r.finish(*finished, printed[function].String()); err != nil {
				return found, err
			}
			delete(printed, function)
		}
	}
	// Those in which the program died. What it printed on the way belongs to none and may say why.
	for function, text := range printed {
		died := results.Finished{Test: test(name, function), Outcome: results.Fail}
		if _, started := found[died.Test]; started {
			if err := r.finish(died, text.String()+printed[""].String()); err != nil {
				return found, err
			}
		}
	}
	r.report.add(found)
	return found, lines.Err()
}

// finish keeps what a failed test printed beside its servers' logs, and removes the logs of one that did not fail.
func (r *runner) finish(finished results.Finished, printed string) error {
	folder := filepath.Join(r.logsOf(finished.Test.Package), finished.Test.Name)
	r.report.finished(finished, folder)
	if finished.Outcome != results.Fail {
		return os.RemoveAll(folder)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "test.log"), []byte(colours.ReplaceAllString(printed, "")), 0o644)
}

// What makes errors red in a terminal.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

func (r *runner) logsOf(name string) string {
	return filepath.Join(r.logs, strings.ReplaceAll(name, "/", "-"))
}
