package suite

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// Function is a test function.
type Function struct {
	Name string
	// It needs more than one homeserver that is spoken to as a client: a second one, or the test itself as another server.
	Federation bool
}

// testFunctions reads the test functions of a package from its source, before anything is compiled.
func testFunctions(folder string) ([]Function, error) {
	found, err := build.ImportDir(folder, 0)
	if err != nil {
		return nil, err
	}
	var functions []Function
	declared := make(map[string]*ast.FuncDecl)
	for _, file := range slices.Concat(found.TestGoFiles, found.XTestGoFiles) {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, declaration := range parsed.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			declared[function.Name.Name] = function
			if function.Recv == nil && isTest(function.Name.Name) {
				functions = append(functions, Function{Name: function.Name.Name})
			}
		}
	}
	for i := range functions {
		functions[i].Federation = federates(declared, functions[i].Name, make(map[string]bool))
	}
	return functions, nil
}

func isTest(name string) bool {
	rest, ok := strings.CutPrefix(name, "Test")
	return ok && name != "TestMain" && (rest == "" || !('a' <= rest[0] && rest[0] <= 'z'))
}

// federates tells whether a function, or one that it mentions, uses what only makes sense with another server.
func federates(declared map[string]*ast.FuncDecl, name string, seen map[string]bool) bool {
	function := declared[name]
	if function == nil || seen[name] {
		return false
	}
	seen[name] = true
	found := false
	ast.Inspect(function, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.Ident:
			// The package of the tests' own servers, requests to a server as another one, and a blueprint of two.
			own := node.Name == "federation" || node.Name == "RoundTripper" || node.Name == "BlueprintHSWithApplicationService"
			found = found || own || federates(declared, node.Name, seen)
		case *ast.CallExpr:
			found = found || deploysSeveral(node)
		}
		return !found
	})
	return found
}

// deploysSeveral tells whether a call is one like complement.Deploy(t, 2).
func deploysSeveral(call *ast.CallExpr) bool {
	callee, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || callee.Sel.Name != "Deploy" || len(call.Args) != 2 {
		return false
	}
	count, ok := call.Args[1].(*ast.BasicLit)
	return ok && count.Value != "1"
}
