package memory

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

// sequence is one of ../../../../test/vectors/conformance.json, which the README there describes.
type sequence struct {
	MaxEntries, MaxSecrets int
	Steps                  []map[string]any
}

// what of a step is what happens, and not what the memory does.
var given = []string{"do", "message", "stream", "text", "name", "scopes", "monotonicMs", "wallMs"}

func TestDoesStepByStepWhatTheOthersDo(t *testing.T) {
	var sequences []sequence
	readVectors(t, "conformance.json", &sequences)
	steps := 0
	for number, each := range sequences {
		c := &conforming{driven: start(t, each.MaxEntries, each.MaxSecrets)}
		c.clocks = Moment{Monotonic: 1_000_000 * time.Millisecond, Wall: 1_700_000_000_000 * time.Millisecond}
		for at, step := range each.Steps {
			want := map[string]any{}
			for name, value := range step {
				isOfOpen := step["do"] == "open" && name == "stream"
				if isOfOpen || !slices.Contains(given, name) {
					want[name] = value
				}
			}
			if got := c.do(step); !reflect.DeepEqual(got, want) {
				t.Fatalf("sequence %d, step %d: %v\ngot  %v\nwant %v", number, at, step, got, want)
			}
			steps++
		}
	}
	t.Logf("%d sequences, %d steps", len(sequences), steps)
}

// conforming is a memory to which everything of a sequence happens.
type conforming struct {
	*driven
	answers []any
}

// do does a step, and gives what the memory did, as JSON has it.
func (c *conforming) do(step map[string]any) map[string]any {
	stream := 0
	if number, ok := step["stream"].(float64); ok {
		stream = int(number)
	}
	switch step["do"] {
	case "pass":
		c.clocks.Monotonic += time.Duration(step["monotonicMs"].(float64)) * time.Millisecond
		c.clocks.Wall += time.Duration(step["wallMs"].(float64)) * time.Millisecond
		return map[string]any{}
	case "open":
		return c.begin()
	case "opened":
		forgotten := c.Opened(decode(c.t, step, &tokenv1.HoldOpened{}))
		return map[string]any{
			"forgets": float64(len(forgotten.Texts)), "forgetsSecrets": float64(len(forgotten.Secrets)),
		}
	case "lookUp":
		text := step["text"].(string)
		asked := c.LookUp(stream, keyNamed(text), noDigest, c.clocks, func(answer Answer) {
			verdict, ok := c.JudgeAnswer(answer, nil, c.clocks)
			c.answered(text, string(verdict.Reason), ok, answer.Error)
		})
		return sent(asked.GetId())
	case "facts":
		again := []uint64{}
		for _, text := range c.Facts(stream, decode(c.t, step, &tokenv1.HoldFacts{}), c.clocks) {
			again = append(again, text.GetId())
		}
		return c.takenWith(again)
	case "access":
		name := step["name"].(string)
		asked := c.Secrets.Access(stream, name, nil, c.clocks, func(accessed Accessed) {
			value := ""
			if accessed.Value != nil {
				value = string(accessed.Value.Bytes)
			}
			c.answered(name, value, accessed.Value != nil, accessed.Error)
		})
		return sent(asked.GetId())
	case "accessed":
		again := []uint64{}
		if asked := c.Secrets.Accessed(stream, decode(c.t, step, &tokenv1.HoldAccessed{}), c.clocks); asked != nil {
			again = append(again, asked.GetId())
		}
		return c.takenWith(again)
	case "renewal":
		return reported(c.Renewal(stream, c.clocks))
	case "grant":
		return map[string]any{"granted": c.Grant(stream, decode(c.t, step, &tokenv1.HoldGrant{}))}
	case "invalidate":
		invalidation := decode(c.t, step, &tokenv1.HoldInvalidation{})
		forgotten := c.Invalidate(stream, invalidation)
		return map[string]any{
			"acknowledges": strconv.FormatUint(invalidation.GetNumber(), 10),
			"forgets":      float64(len(forgotten.Texts)), "forgetsSecrets": float64(len(forgotten.Secrets)),
		}
	case "end":
		c.StreamEnded(stream)
		return c.taken()
	case "judge":
		return c.judgeText(step)
	case "get":
		value := c.Secrets.Get(step["name"].(string), c.clocks)
		c.Secrets.tidy()
		if value == nil {
			return map[string]any{"gives": nil}
		}
		return map[string]any{"gives": string(value.Bytes)}
	}
	c.t.Fatalf("nothing is known of %v", step)
	return nil
}

func (c *conforming) begin() map[string]any {
	stream, open := c.OpenStream()
	var position any
	if open.GetPosition() != nil {
		position = fmt.Sprintf("%s/%d", open.GetPosition().GetEpoch(), open.GetPosition().GetRevision())
	}
	var handles []uint64
	var owners []int64
	for _, owned := range open.GetTokens() {
		handles = append(handles, owned.GetHandles()...)
		owners = append(owners, owned.GetUserProfileId())
	}
	return map[string]any{
		"stream": float64(stream), "position": position, "handles": listed(handles), "owners": listed(owners),
		"secretIds": listed(open.GetSecretIds()),
	}
}

func (c *conforming) judgeText(step map[string]any) map[string]any {
	var scopes []string
	for _, scope := range step["scopes"].([]any) {
		scopes = append(scopes, scope.(string))
	}
	verdict, ok := c.Judge(keyNamed(step["text"].(string)), scopes, c.clocks)
	c.tidy()
	var gives any
	if ok {
		gives = string(verdict.Reason)
	}
	return map[string]any{"gives": gives, "isLeased": c.IsLeased(c.clocks), "size": float64(c.Len())}
}

func (c *conforming) answered(text, value string, isValue bool, failure *rpcstatus.Status) {
	var gives any
	switch {
	case isValue:
		gives = value
	case failure != nil:
		gives = fmt.Sprintf("error %d", failure.GetCode())
	}
	c.answers = append(c.answers, map[string]any{"text": text, "gives": gives})
}

func (c *conforming) taken() map[string]any {
	answers := append([]any{}, c.answers...)
	c.answers = nil
	return map[string]any{"answers": answers}
}

func reported(renewal *tokenv1.HoldRenewal) map[string]any {
	uses, secretUses := map[string]any{}, map[string]any{}
	for _, use := range renewal.GetUses() {
		uses[use.GetKeyId()] = []any{float64(use.GetCount()), float64(use.GetLastUsedAgo().AsDuration().Milliseconds())}
	}
	for _, use := range renewal.GetSecretUses() {
		ago := float64(use.GetLastUsedAgo().AsDuration().Milliseconds())
		secretUses[strconv.FormatInt(use.GetSecretId(), 10)] = []any{float64(use.GetCount()), ago}
	}
	return map[string]any{
		"number": strconv.FormatUint(renewal.GetNumber(), 10), "released": listed(renewal.GetReleased()), "uses": uses,
		"secretUses": secretUses,
	}
}

func (c *conforming) takenWith(again []uint64) map[string]any {
	taken := c.taken()
	ids := []any{}
	for _, id := range again {
		ids = append(ids, strconv.FormatUint(id, 10))
	}
	taken["again"] = ids
	return taken
}

func noDigest() []byte { return nil }

func sent(id uint64) map[string]any {
	if id == 0 {
		return map[string]any{"id": nil}
	}
	return map[string]any{"id": strconv.FormatUint(id, 10)}
}

// listed are numbers as texts, in the order of those.
func listed[Number int64 | uint64](numbers []Number) []any {
	texts := []string{}
	for _, number := range numbers {
		texts = append(texts, fmt.Sprint(number))
	}
	slices.Sort(texts)
	list := []any{}
	for _, text := range texts {
		list = append(list, text)
	}
	return list
}

func decode[Message proto.Message](t *testing.T, step map[string]any, message Message) Message {
	t.Helper()
	encoded, err := base64.StdEncoding.DecodeString(step["message"].(string))
	if err := errors.Join(err, proto.Unmarshal(encoded, message)); err != nil {
		t.Fatal(err)
	}
	return message
}
