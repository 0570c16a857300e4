package suite

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestArgumentsSelectPackagesAndTests(t *testing.T) {
	suite := suiteWith(t, map[string]string{
		"tests/main_test.go":        "func TestMain(m *testing.M) {}\nfunc TestJoin(t *testing.T) { other(t) }",
		"tests/other_test.go":       "func other(t *testing.T) { federation.NewServer(t); other(t) }",
		"tests/csapi/sync_test.go":  "func TestSync(t *testing.T) {}\nfunc helper() {}\nfunc Testing() {}",
		"tests/csapi/login_test.go": "func TestLogin(t *testing.T) {}",
		"tests/msc2/two_test.go":    "func TestTwo(t *testing.T) { d := complement.Deploy(t, 2) }",
		"tests/msc3/one_test.go":    "func TestOne(t *testing.T) { d := complement.Deploy(t, 1) }",
		"tests/csapi/login.go":      "func TestNoTest(t *testing.T) {}",
		"tests/msc1/sync_test.go":   "func TestSync(t *testing.T) {}",
	})
	login, sync, join := Function{"TestLogin", false}, Function{"TestSync", false}, Function{"TestJoin", true}
	msc1 := Selection{"tests/msc1", []Function{sync}, ""}
	msc2 := Selection{"tests/msc2", []Function{{"TestTwo", true}}, ""}
	msc3 := Selection{"tests/msc3", []Function{{"TestOne", false}}, ""}
	csapi := Selection{"tests/csapi", []Function{login, sync}, ""}
	cases := map[string][]Selection{
		"csapi":         {csapi},
		"tests/csapi":   {csapi},
		"tests":         {{"tests", []Function{join}, ""}},
		"all":           {{"tests", []Function{join}, ""}, csapi, msc1, msc2, msc3},
		"client-server": {csapi, msc1, msc3},
		"^TestSync$":    {{"tests/csapi", []Function{sync}, ""}, msc1},
		"Login/a/b":     {{"tests/csapi", []Function{login}, "a/b"}},
	}
	for argument, want := range cases {
		got, err := suite.Select([]string{argument})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s selects %v, %v", argument, got, err)
		}
	}
	for _, argument := range []string{"TestNone", "(", "tests/none"} {
		if got, err := suite.Select([]string{argument}); err == nil {
			t.Errorf("%s selects %v", argument, got)
		}
	}
}

func TestATreeIsTheSourceWithTheOverlayOverIt(t *testing.T) {
	tree, source, overlay := filepath.Join(t.TempDir(), "tree"), t.TempDir(), t.TempDir()
	write(t, source, map[string]string{"a.go": "source", "inner/b.go": "source"})
	write(t, overlay, map[string]string{"a.go": "overlay", "inner/c.go": "overlay"})
	if err := os.Chmod(filepath.Join(source, "a.go"), 0o444); err != nil {
		t.Fatal(err)
	}
	expect := func(want map[string]string) {
		t.Helper()
		if err := layOut(tree, source, overlay, "h1:sum"); err != nil {
			t.Fatal(err)
		}
		for path, text := range want {
			got, err := os.ReadFile(filepath.Join(tree, path))
			if text == "" && err == nil || text != "" && string(got) != text {
				t.Errorf("%s is %q, %v", path, got, err)
			}
		}
	}
	expect(map[string]string{"a.go": "overlay", "inner/b.go": "source", "inner/c.go": "overlay"})

	// What is made of the same is not touched.
	write(t, tree, map[string]string{"a.go": "in use"})
	expect(map[string]string{"a.go": "in use"})

	// What is made of something else has nothing left of before.
	if err := os.Rename(filepath.Join(overlay, "inner/c.go"), filepath.Join(overlay, "inner/d.go")); err != nil {
		t.Fatal(err)
	}
	expect(map[string]string{"a.go": "overlay", "inner/c.go": "", "inner/d.go": "overlay"})
}

func TestACopyOfComplementIsUsedInPlaceOfTheDownload(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("COMPLEMENT_SOURCE", folder)
	if _, err := Prepare(t.Context(), t.TempDir(), t.TempDir()); err == nil || errors.Is(err, ErrUnavailable) {
		t.Errorf("an empty folder gives %v", err)
	}
	// What git keeps beside the source is no part of it; in a work tree of its own it is a file.
	write(t, folder, map[string]string{
		"go.mod": "module " + complementModule + "\n\ngo 1.25.0", "a.go": "one", ".git/head": "x", "inner/.git": "x",
	})
	work := t.TempDir()
	for _, text := range []string{"one", "two"} {
		write(t, folder, map[string]string{"a.go": text})
		module := t.TempDir()
		write(t, module, map[string]string{"overlay/b.go": "over"})
		suite, err := Prepare(t.Context(), module, work)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(suite.Folder("."), "a.go")); string(got) != text {
			t.Errorf("a.go is %q, %v", got, err)
		}
		for _, path := range []string{".git", "inner/.git"} {
			if _, err := os.Stat(filepath.Join(suite.Folder("."), path)); err == nil {
				t.Errorf("%s was copied", path)
			}
		}
	}
}

func suiteWith(t *testing.T, files map[string]string) *Suite {
	t.Helper()
	tree := t.TempDir()
	for path, text := range files {
		files[path] = "package tests\n" + text
	}
	write(t, tree, files)
	return &Suite{tree: tree}
}

func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for path, text := range files {
		path = filepath.Join(folder, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.TrimSpace(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
