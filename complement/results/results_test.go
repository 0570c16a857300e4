package results

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

func named(name string) Test { return Test{"tests/csapi", name} }

func TestAFileIsSortedAndReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	results := Results{
		named("TestB"):      Fail,
		named("TestA/x>_y"): Skip,
		named("TestA"):      Pass,
		{"tests", "TestZ"}:  Pass,
	}
	if err := results.Write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Package":"tests","Test":"TestZ","Action":"pass"}
{"Package":"tests/csapi","Test":"TestA","Action":"pass"}
{"Package":"tests/csapi","Test":"TestA/x>_y","Action":"skip"}
{"Package":"tests/csapi","Test":"TestB","Action":"fail"}
`
	if string(text) != want {
		t.Errorf("the file is\n%s", text)
	}
	read, err := Read(path)
	if err != nil || !maps.Equal(read, results) {
		t.Errorf("read %v, %v", read, err)
	}
}

func TestAFileThatDoesNotExistIsEmpty(t *testing.T) {
	results, err := Read(filepath.Join(t.TempDir(), "none"))
	if err != nil || len(results) != 0 {
		t.Errorf("read %v, %v", results, err)
	}
}

func TestARunIsComparedWithWhatWasRecorded(t *testing.T) {
	recorded := Results{
		named("TestLost"):            Pass,
		named("TestSkipped"):         Pass,
		named("TestSame"):            Pass,
		named("TestGained"):          Fail,
		named("TestParts"):           Pass,
		named("TestParts/reached"):   Pass,
		named("TestParts/unreached"): Pass,
		named("TestParts/failed"):    Fail,
		named("TestNotSelected"):     Pass,
	}
	run := Results{
		named("TestLost"):          Fail,
		named("TestSkipped"):       Skip,
		named("TestSame"):          Pass,
		named("TestGained"):        Pass,
		named("TestParts"):         Pass,
		named("TestParts/reached"): Pass,
		named("TestUnknown"):       Fail,
		named("TestUnknownPass"):   Pass,
	}
	want := Difference{
		Lost:     []Test{named("TestLost"), named("TestSkipped"), named("TestParts/unreached")},
		Gained:   []Test{named("TestGained"), named("TestUnknownPass")},
		Vanished: []Test{named("TestParts/failed")},
		New:      []Test{named("TestUnknown")},
	}
	if got := Compare(recorded, run); !reflect.DeepEqual(got, want) {
		t.Errorf("the difference is %+v", got)
	}
	if got := Compare(run, run); !got.Empty() {
		t.Errorf("a run differs from itself: %+v", got)
	}
}

func TestAnUpdateKeepsWhatDidNotRun(t *testing.T) {
	recorded := Results{named("TestA"): Fail, named("TestA/old"): Fail, named("TestB"): Pass, named("TestB/part"): Fail}
	run := Results{named("TestA"): Pass, named("TestA/new"): Pass}
	want := Results{named("TestA"): Pass, named("TestA/new"): Pass, named("TestB"): Pass, named("TestB/part"): Fail}
	if got := Update(recorded, run); !maps.Equal(got, want) {
		t.Errorf("updated to %v", got)
	}
}

func TestAStreamCountsWhatNeverEndedAsFailed(t *testing.T) {
	results := make(Results)
	stream := NewStream("tests/csapi", results)
	var finished []Finished
	for _, line := range []string{
		`{"Action":"start","Package":"p"}`,
		`{"Action":"run","Package":"p","Test":"TestA"}`,
		`{"Action":"run","Package":"p","Test":"TestA/one"}`,
		`{"Action":"output","Package":"p","Test":"TestA/one","Output":"--- PASS: TestA/one\n"}`,
		`{"Action":"pass","Package":"p","Test":"TestA/one","Elapsed":0.5}`,
		`{"Action":"skip","Package":"p","Test":"TestA","Elapsed":1}`,
		`{"Action":"run","Package":"p","Test":"TestB"}`,
		`{"Action":"output","Package":"p","Test":"TestB","Output":"panic: oh\n"}`,
		`{"Action":"fail","Package":"p"}`,
	} {
		_, done, err := stream.Add([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if done != nil {
			finished = append(finished, *done)
		}
	}
	want := Results{named("TestA"): Skip, named("TestA/one"): Pass, named("TestB"): Fail}
	if !maps.Equal(results, want) {
		t.Errorf("the results are %v", results)
	}
	if len(finished) != 2 || finished[0].Took.Milliseconds() != 500 {
		t.Errorf("finished: %v", finished)
	}
	if functions := results.Functions(); !slices.Equal(functions.Tests(), []Test{named("TestA"), named("TestB")}) {
		t.Errorf("the functions are %v", functions)
	}
	if _, _, err := stream.Add([]byte("FAIL")); err == nil {
		t.Error("a line that is not JSON was taken in")
	}
}
