// The complement command runs Complement's tests against this project's server and compares them with the recorded
// results. complement/run compiles and calls it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"commonroom/complement/results"
	"commonroom/complement/suite"
)

const usage = `usage: complement/run [flags] all | client-server | PACKAGE... | PATTERN...

  complement/run all                   every test
  complement/run client-server         those that need no other server
  complement/run csapi msc4140         these packages
  complement/run TestLogin/parallel    tests that match, written as for go test -run
  complement/run -self-test            none, but what is in this folder

`

// Exit codes.
const (
	exitLost  = 1
	exitUsage = 2
	exitError = 3
	// Complement or the tools for it are not there: the one code that a script may take for "left out".
	exitUnavailable = 69
)

type options struct {
	// The root of the repository.
	root     string
	update   bool
	verbose  bool
	jobs     int
	timeout  time.Duration
	selfTest bool
	// What to run: packages and patterns.
	selected []string
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	options, err := parse(os.Args[1:])
	if err != nil {
		os.Exit(exitUsage)
	}
	code, err := run(ctx, options)
	if err != nil {
		fmt.Fprintln(os.Stderr, "complement:", err)
	}
	os.Exit(code)
}

func parse(arguments []string) (options, error) {
	var options options
	flags := flag.NewFlagSet("complement/run", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&options.root, "root", ".", "the `folder` of the repository")
	flags.BoolVar(&options.update, "update", false, "record the results of this run in complement/results.jsonl")
	flags.BoolVar(&options.verbose, "v", false, "print what the tests print")
	flags.IntVar(&options.jobs, "jobs", runtime.NumCPU(), "how many packages run at the same time")
	flags.DurationVar(&options.timeout, "timeout", time.Hour, "how long one package may take")
	flags.BoolVar(&options.selfTest, "self-test", false, "test this folder instead of the server")
	if err := flags.Parse(arguments); err != nil {
		return options, err
	}
	options.selected = flags.Args()
	if len(options.selected) == 0 && !options.selfTest {
		flags.Usage()
		return options, errors.New("nothing is selected")
	}
	return options, nil
}

func run(ctx context.Context, options options) (int, error) {
	root, err := filepath.Abs(options.root)
	if err != nil {
		return exitError, err
	}
	work := filepath.Join(root, "target", "complement")
	module := filepath.Join(root, "complement")
	recordedPath := filepath.Join(module, "results.jsonl")
	recorded, err := results.Read(recordedPath)
	if err != nil {
		return exitError, err
	}
	tests, err := suite.Prepare(ctx, module, work)
	if errors.Is(err, suite.ErrUnavailable) {
		return exitUnavailable, err
	} else if err != nil {
		return exitError, err
	}
	if options.selfTest {
		return selfTest(ctx, module, tests)
	}
	selections, err := tests.Select(options.selected)
	if err != nil {
		return exitUsage, err
	}
	server, err := server(ctx, root)
	if err != nil {
		return exitError, err
	}
	runner := &runner{
		suite:   tests,
		server:  server,
		logs:    filepath.Join(work, "logs"),
		jobs:    options.jobs,
		timeout: options.timeout,
		report:  newReport(os.Stdout, root, recorded, options.verbose),
	}
	for _, selection := range selections {
		for _, function := range selection.Functions {
			runner.report.federation[test(selection.Package, function.Name)] = function.Federation
		}
	}
	if err := runner.run(ctx, selections); err != nil {
		return exitError, err
	}
	difference := runner.report.summary()
	if options.update {
		return 0, results.Update(recorded, runner.report.results).Write(recordedPath)
	}
	if len(difference.Lost) > 0 {
		return exitLost, nil
	}
	return 0, nil
}

// selfTest runs this module's tests, and those of the deployer, which compile only inside Complement's module.
func selfTest(ctx context.Context, module string, tests *suite.Suite) (int, error) {
	for _, place := range []struct{ folder, packages string }{
		{module, "./..."},
		{tests.Folder("."), "./internal/process"},
	} {
		command := exec.CommandContext(ctx, "go", "test", place.packages)
		command.Dir = place.folder
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		if err := command.Run(); err != nil {
			return exitError, err
		}
	}
	return 0, nil
}
