//go:build linux

// Command campaign is a client's process of the fault campaign: a program of a service that judges tokens in its own memory.
// It asks all the time, and reports what it was answered. It speaks, as lines of JSON over the descriptor that
// NODE_CHANNEL_FD names, what ../../../../test/fault/campaign/clients/commands.ts describes.
package main

import (
	"encoding/json"
	"log"
	"os"
	"strconv"
	"sync"
	"time"

	"keyward.dev/keyward/internal/clocks"
)

const reportEvery = 20 * time.Millisecond

func main() {
	descriptor, err := strconv.Atoi(os.Getenv("NODE_CHANNEL_FD"))
	if err != nil {
		log.Fatal("NODE_CHANNEL_FD must be the number of a descriptor")
	}
	channel := os.NewFile(uintptr(descriptor), "channel")
	c := &campaign{reports: json.NewEncoder(channel)}
	commands := json.NewDecoder(channel)
	for {
		var next command
		if err := commands.Decode(&next); err != nil {
			// The campaign has gone.
			return
		}
		if !c.handle(next) {
			return
		}
	}
}

type campaign struct {
	mu      sync.Mutex
	reports *json.Encoder
	asking  *asking
}

// handle tells whether more is to come.
func (c *campaign) handle(next command) bool {
	switch {
	case next.Open != nil:
		opened, err := newAsking(*next.Open)
		if err != nil {
			log.Fatal(err)
		}
		c.asking = opened
		c.report(map[string]any{"opened": true})
		go opened.run()
		go func() {
			for range time.Tick(reportEvery) {
				c.tell()
			}
		}()
	case next.StepClock != nil:
		clocks.StepWall(time.Duration(*next.StepClock * float64(time.Millisecond)))
	case next.Know != nil:
		c.asking.know(*next.Know)
	case next.Follow != nil:
		for _, each := range *next.Follow {
			c.asking.ask(each)
		}
	case next.Count != nil:
		c.report(map[string]any{"held": c.asking.count(*next.Count)})
	case next.Finish:
		c.asking.validator.Close()
		c.tell()
		c.report(map[string]any{"finished": true})
		return false
	}
	return true
}

func (c *campaign) tell() {
	if told := c.asking.taken(); len(told) > 0 {
		c.report(map[string]any{"said": told})
	}
}

func (c *campaign) report(message any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.reports.Encode(message); err != nil {
		log.Fatal(err)
	}
}
