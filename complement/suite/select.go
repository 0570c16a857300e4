package suite

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Selection is what is to run of one package.
type Selection struct {
	Package string
	// In the order of the source.
	Functions []Function
	// Which subtests of them, as a pattern of go test; empty for all.
	Subtests string
}

// Select finds what the arguments of a run stand for. An argument is "all", "client-server" (all that needs one server and
// nobody else), a package ("csapi" or "tests/csapi") or a pattern for test functions as go test takes it, with an optional
// part for subtests ("TestLogin/parallel").
func (s *Suite) Select(arguments []string) ([]Selection, error) {
	packages, err := s.Packages()
	if err != nil {
		return nil, err
	}
	var selections []Selection
	for _, argument := range arguments {
		selected, err := s.selectOne(packages, argument)
		if err != nil {
			return nil, err
		}
		if len(selected) == 0 {
			return nil, fmt.Errorf("%q is neither a package (%s) nor does a test match it",
				argument, strings.Join(packages, ", "))
		}
		selections = append(selections, selected...)
	}
	return selections, nil
}

func (s *Suite) selectOne(packages []string, argument string) ([]Selection, error) {
	function, subtests, _ := strings.Cut(argument, "/")
	for _, name := range packages {
		if argument == name || "tests/"+argument == name {
			packages, function, subtests = []string{name}, "", ""
		}
	}
	if argument == "all" || argument == "client-server" {
		function = ""
	}
	pattern, err := regexp.Compile(function)
	if err != nil {
		return nil, fmt.Errorf("%q is not a pattern: %w", argument, err)
	}
	var selected []Selection
	for _, name := range packages {
		functions, err := testFunctions(filepath.Join(s.tree, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		functions = slices.DeleteFunc(functions, func(function Function) bool {
			return !pattern.MatchString(function.Name) || argument == "client-server" && function.Federation
		})
		if len(functions) > 0 {
			selected = append(selected, Selection{name, functions, subtests})
		}
	}
	return selected, nil
}
