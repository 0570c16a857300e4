package results

import (
	"encoding/json"
	"fmt"
	"time"
)

// Event is one line of what go test reports as JSON.
type Event struct {
	Action  string
	Package string
	Test    string
	Output  string
	// In seconds.
	Elapsed float64
}

// Stream folds what go test reports about one package into results.
type Stream struct {
	results Results
	pkg     string
}

// NewStream returns a stream for the package, whose results go into results.
func NewStream(pkg string, results Results) *Stream {
	return &Stream{results, pkg}
}

// Finished is what a stream says when a test has come to its end.
type Finished struct {
	Test    Test
	Outcome Outcome
	Took    time.Duration
}

// Add takes one line in. It returns the event, and what finished with it if something did.
//
// A test counts as failed from the moment it starts until something better is reported, so that one whose program dies
// around it is not lost.
func (s *Stream) Add(text []byte) (Event, *Finished, error) {
	var event Event
	if err := json.Unmarshal(text, &event); err != nil {
		return event, nil, fmt.Errorf("not a line of go test: %q: %w", text, err)
	}
	if event.Test == "" {
		return event, nil, nil
	}
	test := Test{s.pkg, event.Test}
	switch outcome := Outcome(event.Action); outcome {
	case "run":
		s.results[test] = Fail
	case Pass, Fail, Skip:
		s.results[test] = outcome
		took := time.Duration(event.Elapsed * float64(time.Second))
		return event, &Finished{test, outcome, took}, nil
	}
	return event, nil, nil
}
