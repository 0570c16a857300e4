package suite

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Selection is what is to run of one package.
type Selection struct {
	Package string
	// Names of test functions, in the order of the source.
	Functions []string
	// Which subtests of them, as a pattern of go test; empty for all.
	Subtests string
}

// Select finds what the arguments of a run stand for. An argument is "all", a package ("csapi" or "tests/csapi") or a
// pattern for test functions as go test takes it, with an optional part for subtests ("TestLogin/parallel").
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
	if argument == "all" {
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
		functions = slices.DeleteFunc(functions, func(name string) bool { return !pattern.MatchString(name) })
		if len(functions) > 0 {
			selected = append(selected, Selection{name, functions, subtests})
		}
	}
	return selected, nil
}

// testFunctions reads the names of the test functions from the source, before anything is compiled.
func testFunctions(folder string) ([]string, error) {
	found, err := build.ImportDir(folder, 0)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range slices.Concat(found.TestGoFiles, found.XTestGoFiles) {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, declaration := range parsed.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if ok && function.Recv == nil && isTest(function.Name.Name) {
				names = append(names, function.Name.Name)
			}
		}
	}
	return names, nil
}

func isTest(name string) bool {
	rest, ok := strings.CutPrefix(name, "Test")
	return ok && name != "TestMain" && (rest == "" || !('a' <= rest[0] && rest[0] <= 'z'))
}
