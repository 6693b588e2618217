//go:build linux

package main

// What the campaign tells a client's process and is told by it: ../../../../test/fault/campaign/clients/commands.ts.

// known is a plaintext that a client may ask for.
type known struct {
	Number      int    `json:"number"`
	Plaintext   string `json:"plaintext"`
	IsBystander bool   `json:"isBystander"`
}

// options are those with which a client opens.
type options struct {
	Servers []string `json:"servers"`
	Token   string   `json:"token"`
	Label   string   `json:"label"`
	Seed    uint64   `json:"seed"`
	// PaceMs is from one stretch of questions to the next.
	PaceMs float64 `json:"paceMs"`
	// Stretch is how many questions are asked at a stretch.
	Stretch   int     `json:"stretch"`
	TimeoutMs float64 `json:"timeoutMs"`
}

// command has exactly one of these.
type command struct {
	Open      *options `json:"open"`
	Know      *[]known `json:"know"`
	Follow    *[]known `json:"follow"`
	StepClock *float64 `json:"stepClock"`
	Count     *[]known `json:"count"`
	Finish    bool     `json:"finish"`
}

// answer is a verdict, or the code of a failure.
type answer struct {
	Verdict *string `json:"verdict,omitempty"`
	Valid   *bool   `json:"valid,omitempty"`
	Stale   *bool   `json:"stale,omitempty"`
	Failure *string `json:"failure,omitempty"`
}

// span is from when to when something lasted, in milliseconds by the machine's clock.
type span struct {
	StartedAt float64 `json:"startedAt"`
	EndedAt   float64 `json:"endedAt"`
}

// said is what a client answered about a credential, once or several times at a stretch.
type said struct {
	Credential   int    `json:"credential"`
	IsFromMemory bool   `json:"isFromMemory"`
	Answer       answer `json:"answer"`
	// Spans are of the first answer, and of the last where there is more than one.
	Spans []span `json:"spans"`
	Count int    `json:"count"`
}
