package results

import "maps"

// Difference is how a run differs from the results that were recorded before.
type Difference struct {
	// Passed before, and does not now.
	Lost []Test
	// Passes now, and did not before.
	Gained []Test
	// Recorded before, and no longer there though its test function ran.
	Vanished []Test
	// Recorded never before, and does not pass.
	New []Test
}

// Empty tells whether both are the same as far as passing is concerned.
func (d Difference) Empty() bool {
	return len(d.Lost)+len(d.Gained)+len(d.Vanished)+len(d.New) == 0
}

// Compare compares a run with what was recorded, for the test functions that ran.
func Compare(recorded, run Results) Difference {
	var difference Difference
	for _, test := range run.Tests() {
		before, known := recorded[test]
		switch {
		case run[test] == Pass && before != Pass:
			difference.Gained = append(difference.Gained, test)
		case run[test] != Pass && before == Pass:
			difference.Lost = append(difference.Lost, test)
		case !known:
			difference.New = append(difference.New, test)
		}
	}
	for _, test := range recorded.Tests() {
		_, ran := run[test.Function()]
		_, present := run[test]
		switch {
		case !ran || present:
		case recorded[test] == Pass:
			// A subtest that is not reached any more is as good as failed.
			difference.Lost = append(difference.Lost, test)
		default:
			difference.Vanished = append(difference.Vanished, test)
		}
	}
	return difference
}

// Update returns what is recorded after a run: its results for the test functions that ran, the old ones for the rest.
func Update(recorded, run Results) Results {
	updated := maps.Clone(run)
	for test, outcome := range recorded {
		if _, ran := run[test.Function()]; !ran {
			updated[test] = outcome
		}
	}
	return updated
}
