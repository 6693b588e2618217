package memory

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

// vector is one of ../../../../test/vectors, which the README there describes.
type vector struct {
	Name    string
	Fact    string
	Scopes  []string
	Comes   elapsed
	Answers Reason
	Again   elapsed
	Holds   Reason
}

// elapsed is in microseconds.
type elapsed struct {
	Monotonic, Wall int64
}

func (e elapsed) since(began Moment) Moment {
	return Moment{
		Monotonic: began.Monotonic + time.Duration(e.Monotonic)*time.Microsecond,
		Wall:      began.Wall + time.Duration(e.Wall)*time.Microsecond,
	}
}

// readVectors reads what clients of all languages are held against.
func readVectors(t *testing.T, name string, vectors any) {
	t.Helper()
	path := filepath.Join("..", "..", "..", "..", "test", "vectors", name)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("SKIPPED: the vectors are in the repository alone: %s", path)
	}
	if err := errors.Join(err, json.Unmarshal(content, vectors)); err != nil {
		t.Fatal(err)
	}
}

func TestJudgesAsTheServiceDoes(t *testing.T) {
	var vectors []vector
	readVectors(t, "verdicts.json", &vectors)
	for _, each := range vectors {
		t.Run(each.Name, func(t *testing.T) {
			d := start(t, 3, 0)
			d.open(true)
			began := d.clocks
			encoded, err := base64.StdEncoding.DecodeString(each.Fact)
			told := &tokenv1.HoldFact{}
			if err := errors.Join(err, proto.Unmarshal(encoded, told)); err != nil {
				t.Fatal(err)
			}
			asked := d.ask("text", d.stream)
			told.Id = asked.id
			d.clocks = each.Comes.since(began)
			d.tell(d.stream, told)
			d.want(d.reasonIn(asked, each.Scopes...), each.Answers)
			d.clocks = each.Again.since(began)
			d.renew(d.stream, 1, leaseSpan)
			d.want(d.reasonOf("text", each.Scopes...), each.Holds)
		})
	}
	t.Logf("%d vectors", len(vectors))
}
