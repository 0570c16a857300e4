package main

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"commonroom/complement/results"
)

// report tells a person how a run goes and how it went.
type report struct {
	out      io.Writer
	root     string
	recorded results.Results
	verbose  bool
	// Which tests need another server.
	federation map[results.Test]bool

	started time.Time

	mutex   sync.Mutex
	results results.Results
	times   map[string]time.Duration
	folders map[results.Test]string
}

func newReport(out io.Writer, root string, recorded results.Results, verbose bool) *report {
	return &report{
		out:        out,
		root:       root,
		recorded:   recorded,
		verbose:    verbose,
		started:    time.Now(),
		federation: make(map[results.Test]bool),
		results:    make(results.Results),
		times:      make(map[string]time.Duration),
		folders:    make(map[results.Test]string),
	}
}

// summary prints a table of the packages and what differs from the recorded results, and returns the difference.
func (r *report) summary() results.Difference {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.table()
	difference := results.Compare(r.recorded, r.results)
	r.list("These passed before and do not now:", difference.Lost)
	r.list("These pass now and did not before:", difference.Gained)
	r.list("These are not there any more:", difference.Vanished)
	r.list("These were not recorded before:", difference.New)
	switch {
	case len(difference.Lost) > 0:
		fmt.Fprintln(r.out, "\nThis run is worse than complement/results.jsonl.")
	case !difference.Empty():
		fmt.Fprintln(r.out, "\nPlease record this: run it again with -update and commit complement/results.jsonl.")
	default:
		fmt.Fprintln(r.out, "\nAll as recorded in complement/results.jsonl.")
	}
	return difference
}

// finished prints one line about a test function, and for a failed one where its logs are.
func (r *report) finished(finished results.Finished, folder string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	where := ""
	if finished.Outcome == results.Fail {
		r.folders[finished.Test] = r.relative(folder)
		where = "  " + r.relative(folder)
	}
	fmt.Fprintf(r.out, "%s %6.1fs  %s %s%s\n",
		finished.Outcome, finished.Took.Seconds(), finished.Test.Package, finished.Test.Name, where)
}

func (r *report) print(output string) {
	if r.verbose {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		fmt.Fprint(r.out, output)
	}
}

func (r *report) add(found results.Results) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	maps.Copy(r.results, found)
}

func (r *report) took(name string, took time.Duration) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.times[name] += took
}

// count is how many tests passed, of how many.
type count struct{ passed, all int }

func (c count) String() string { return fmt.Sprintf("%d of %d", c.passed, c.all) }

func (c *count) add(outcome results.Outcome) {
	c.all++
	if outcome == results.Pass {
		c.passed++
	}
}

// row is one line of the table.
type row struct{ functions, subtests count }

func (r *report) table() {
	packages := make(map[string]*row)
	for name := range r.times {
		packages[name] = new(row)
	}
	var clientServer, federation, all row
	for test, outcome := range r.results {
		kind := &clientServer
		if r.federation[test.Function()] {
			kind = &federation
		}
		for _, row := range []*row{packages[test.Package], kind, &all} {
			if test == test.Function() {
				row.functions.add(outcome)
			} else {
				row.subtests.add(outcome)
			}
		}
	}
	table := tabwriter.NewWriter(r.out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\n\ttests passed\tsubtests passed\ttime\t")
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		row, time := packages[name], r.times[name].Round(100*time.Millisecond)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t\n", name, row.functions, row.subtests, time)
	}
	fmt.Fprintf(table, "client-server\t%s\t%s\t\t\n", clientServer.functions, clientServer.subtests)
	fmt.Fprintf(table, "federation\t%s\t%s\t\t\n", federation.functions, federation.subtests)
	fmt.Fprintf(table, "all\t%s\t%s\t%s\t\n", all.functions, all.subtests, time.Since(r.started).Round(100*time.Millisecond))
	table.Flush()
}

func (r *report) list(title string, tests []results.Test) {
	if len(tests) == 0 {
		return
	}
	fmt.Fprintf(r.out, "\n%s\n", title)
	for _, test := range tests {
		line := fmt.Sprintf("  %s %s %s  %s", r.results[test], test.Package, test.Name, r.folders[test.Function()])
		fmt.Fprintln(r.out, strings.TrimRight(line, " "))
	}
}

func (r *report) relative(path string) string {
	if relative, err := filepath.Rel(r.root, path); err == nil {
		return relative
	}
	return path
}
