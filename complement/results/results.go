// Package results knows what became of each test, and how two runs differ.
package results

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Outcome is what became of a test, in the words of go test.
type Outcome string

const (
	Pass Outcome = "pass"
	Fail Outcome = "fail"
	Skip Outcome = "skip"
)

// Test names a test or a subtest.
type Test struct {
	// The folder in Complement, such as "tests/csapi".
	Package string
	// The name with the names of the tests around it, such as "TestLogin/parallel/POST_/login_works".
	Name string
}

// Top returns the name of the test function that this test is a part of.
func (t Test) Top() string {
	top, _, _ := strings.Cut(t.Name, "/")
	return top
}

// Function returns the test function that this test is a part of.
func (t Test) Function() Test {
	return Test{t.Package, t.Top()}
}

// Results says what became of each test and subtest.
type Results map[Test]Outcome

// Functions returns the outcomes of the test functions, without their subtests.
func (r Results) Functions() Results {
	functions := make(Results)
	for test, outcome := range r {
		if test == test.Function() {
			functions[test] = outcome
		}
	}
	return functions
}

// Tests returns the tests in the order of the file.
func (r Results) Tests() []Test {
	tests := make([]Test, 0, len(r))
	for test := range r {
		tests = append(tests, test)
	}
	slices.SortFunc(tests, func(a, b Test) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Name, b.Name))
	})
	return tests
}

// line is one test in the file, in the form that the results of other servers are published in.
type line struct {
	Package string
	Test    string
	Action  Outcome
}

// Read reads a results file; one that does not exist is empty.
func Read(path string) (Results, error) {
	results := make(Results)
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return results, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		var line line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		results[Test{line.Package, line.Test}] = line.Action
	}
	return results, lines.Err()
}

// Write writes a results file, sorted, so that a change of the server shows as a change of a few lines.
func (r Results) Write(path string) error {
	var text strings.Builder
	lines := json.NewEncoder(&text)
	// The names of tests have arrows and ampersands that are easier to read as they are.
	lines.SetEscapeHTML(false)
	for _, test := range r.Tests() {
		if err := lines.Encode(line{test.Package, test.Name, r[test]}); err != nil {
			return err
		}
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}
