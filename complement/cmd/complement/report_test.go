package main

import (
	"strings"
	"testing"
	"time"

	"commonroom/complement/results"
)

func TestTheSummaryShowsWhatChanged(t *testing.T) {
	lost := results.Test{Package: "tests/csapi", Name: "TestLost"}
	part := results.Test{Package: "tests/csapi", Name: "TestLost/part"}
	gained := results.Test{Package: "tests", Name: "TestGained"}
	var out strings.Builder
	report := newReport(&out, "/repo", results.Results{lost: results.Pass, part: results.Pass, gained: results.Fail}, false)

	report.federation[gained] = true

	report.finished(results.Finished{Test: lost, Outcome: results.Fail, Took: 1500 * time.Millisecond}, "/repo/logs/TestLost")
	report.add(results.Results{lost: results.Fail, part: results.Pass, gained: results.Pass})
	report.took("tests/csapi", 2*time.Second)
	report.took("tests", time.Second)
	if difference := report.summary(); len(difference.Lost) != 1 || len(difference.Gained) != 1 {
		t.Errorf("the difference is %+v", difference)
	}
	for _, want := range []string{
		"fail    1.5s  tests/csapi TestLost  logs/TestLost\n",
		"tests/csapi         0 of 1            1 of 1     2s",
		"client-server         0 of 1            1 of 1",
		"federation         1 of 1            0 of 0",
		"all         1 of 2            1 of 1",
		"These passed before and do not now:\n  fail tests/csapi TestLost  logs/TestLost\n",
		"These pass now and did not before:\n  pass tests TestGained\n",
		"This run is worse than",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestTheServersProgramIsFoundInWhatCargoSays(t *testing.T) {
	said := `{"reason":"compiler-artifact","target":{"name":"build-script-build"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"commonroom"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"commonroom"},"executable":"/target/debug/commonroom"}
{"reason":"build-finished","success":true}
`
	if path, err := builtProgram([]byte(said)); err != nil || path != "/target/debug/commonroom" {
		t.Errorf("found %q, %v", path, err)
	}
	if path, err := builtProgram([]byte(`{"reason":"build-finished"}`)); err == nil {
		t.Errorf("found %q", path)
	}
}
