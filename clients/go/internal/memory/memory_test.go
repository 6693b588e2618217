package memory

import (
	"testing"
	"time"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

var byEachClock = map[string]func(*driven, time.Duration){
	"monotonic": func(d *driven, span time.Duration) { d.clocks.Monotonic += span },
	"wall":      func(d *driven, span time.Duration) { d.clocks.Wall += span },
}

func expiring(span time.Duration) func(*tokenv1.HoldFact) {
	return func(f *tokenv1.HoldFact) { f.ExpiresIn = durationpb.New(span) }
}

func TestAnswersUnderTheLease(t *testing.T) {
	d := startLeased(t)
	d.learn("a")
	verdict, ok := d.Judge(keyNamed("a"), []string{"orders:read"}, d.clocks)
	d.want(ok, true)
	d.want(verdict.Valid && verdict.Reason == OK && verdict.KeyID == "id of a" && verdict.Name == "a", true)
	d.want(verdict.Principal, PrincipalOf(owner()))
	refused, _ := d.Judge(keyNamed("a"), []string{"users:read"}, d.clocks)
	d.want(refused.Valid || refused.Principal != Principal{} || refused.Scopes != nil || refused.Name != "", false)
	d.want(refused.Reason, InsufficientScope)
	d.want(d.reasonOf("unheard"), Reason(""))
}

func TestForgetsWhenTheTimeIsOverByEitherClock(t *testing.T) {
	for name, pass := range byEachClock {
		t.Run(name, func(t *testing.T) {
			d := startLeased(t)
			asked := d.ask("a", d.stream)
			d.pass(100 * time.Millisecond)
			told := fact(asked.id, "a")
			expiring(500 * time.Millisecond)(told)
			d.tell(d.stream, told)
			d.want(d.reasonOf("a"), OK)
			pass(d, 400*time.Millisecond)
			d.want(d.reasonOf("a"), Reason(""))
			pass(d, -400*time.Millisecond)
			d.want(d.reasonOf("a"), Reason(""))
			d.wantReleased(handleOf("a"))
		})
	}
}

func TestKeepsNothingThatMayNotBeKept(t *testing.T) {
	d := startLeased(t)
	d.want(d.reasonIn(d.learn("a", func(f *tokenv1.HoldFact) { f.Keep = false })), OK)
	d.want(d.reasonIn(d.learn("b", func(f *tokenv1.HoldFact) { f.Known = false })), Unknown)
	d.want(d.reasonIn(d.learn("c", func(f *tokenv1.HoldFact) { f.Stale = true })), OK)
	d.want(d.reasonIn(d.learn("d", expiring(-1))), Expired)
	failed := d.ask("e", d.stream)
	d.tell(d.stream, &tokenv1.HoldFact{Id: failed.id, Error: &rpcstatus.Status{Code: 14}})
	d.want(failed.answers[0].Error.GetCode(), int32(14))
	d.want(d.Len(), 0)
}

func TestMakesRoom(t *testing.T) {
	d := startLeased(t)
	for _, name := range []string{"a", "b", "c"} {
		d.learn(name)
	}
	d.want(d.reasonOf("a"), OK)
	d.learn("d")
	for name, want := range map[string]Reason{"a": OK, "b": "", "c": OK, "d": OK} {
		d.want(d.reasonOf(name), want)
	}
	d.wantReleased(handleOf("b"))
	d.wantReleased()
	d.SetMaxEntries(0)
	d.want(d.Len(), 0)
	d.wantReleased(handleOf("a"), handleOf("c"), handleOf("d"))
}

func TestReleasesNothingThatIsLookedUp(t *testing.T) {
	d := startLeased(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		d.learn(name)
	}
	d.want(d.reasonOf("a"), Reason(""))
	asked := d.ask("a", d.stream)
	d.wantReleased()
	d.tell(d.stream, fact(asked.id, "a"))
	d.want(d.reasonOf("a"), OK)
}

func TestLeaseCountsFromBeforeItWasAskedFor(t *testing.T) {
	for name, pass := range byEachClock {
		t.Run(name, func(t *testing.T) {
			d := startLeased(t)
			d.learn("a")
			number := d.Renewal(d.stream, d.clocks).GetNumber()
			d.pass(time.Second)
			d.want(d.grant(d.stream, number, 1, leaseSpan), true)
			pass(d, leaseSpan-time.Second-1)
			d.want(d.reasonOf("a"), OK)
			pass(d, 1)
			d.want(d.reasonOf("a"), Reason(""))
		})
	}
}

func TestRefusedLeaseLeavesTheOneBefore(t *testing.T) {
	d := startLeased(t)
	d.learn("a")
	d.pass(leaseSpan / 2)
	d.want(d.renew(d.stream, 1, 0), false)
	d.want(d.grant(d.stream, 99, 1, leaseSpan), false)
	d.want(d.reasonOf("a"), OK)
	d.pass(leaseSpan / 2)
	d.want(d.reasonOf("a"), Reason(""))
	d.want(d.Len(), 1)
	d.renew(d.stream, 1, leaseSpan)
	d.want(d.reasonOf("a"), OK)
}

func TestForgetsWhatIsMeantAndNothingElse(t *testing.T) {
	for name, test := range map[string]struct {
		of   *tokenv1.HoldInvalidation
		a, b Reason
	}{
		"everything": {&tokenv1.HoldInvalidation{Everything: true}, "", ""},
		"a handle":   {&tokenv1.HoldInvalidation{Handles: []uint64{handleOf("a")}}, "", OK},
		"a profile":  {&tokenv1.HoldInvalidation{UserProfileIds: []int64{8}}, "", OK},
		"a user":     {&tokenv1.HoldInvalidation{UserIds: []int64{17}}, OK, ""},
		"an account": {&tokenv1.HoldInvalidation{AccountIds: []int64{19}}, OK, ""},
		"secrets":    {&tokenv1.HoldInvalidation{AllSecrets: true}, OK, OK},
	} {
		t.Run(name, func(t *testing.T) {
			d := startLeased(t)
			d.learn("a")
			d.learn("b", func(f *tokenv1.HoldFact) { f.Principal = otherOwner() })
			remembered := d.EntryOf(keyNamed("a"))
			d.invalidate(test.of)
			d.want(d.reasonOf("a"), test.a)
			d.want(d.reasonOf("b"), test.b)
			verdict, _ := d.JudgeEntry(remembered, nil, d.clocks)
			d.want(verdict.Reason, test.a)
			// The replica has forgotten it too.
			d.wantReleased()
		})
	}
}

func TestKeepsNothingThatWasOvertaken(t *testing.T) {
	many := make([]*tokenv1.HoldInvalidation, 500)
	for at := range many {
		many[at] = &tokenv1.HoldInvalidation{Handles: []uint64{handleOf("b")}}
	}
	many[0] = &tokenv1.HoldInvalidation{Handles: []uint64{handleOf("a")}}
	for name, test := range map[string]struct {
		by   []*tokenv1.HoldInvalidation
		held Reason
	}{
		"its handle":            {[]*tokenv1.HoldInvalidation{{Handles: []uint64{handleOf("a")}}}, ""},
		"another handle":        {[]*tokenv1.HoldInvalidation{{Handles: []uint64{handleOf("b")}}}, OK},
		"a handle and an owner": {[]*tokenv1.HoldInvalidation{{Handles: []uint64{handleOf("b")}, UserIds: []int64{4}}}, ""},
		"any owner":             {[]*tokenv1.HoldInvalidation{{UserIds: []int64{4}}}, ""},
		"secrets":               {[]*tokenv1.HoldInvalidation{{SecretIds: []int64{4}}}, ""},
		"everything":            {[]*tokenv1.HoldInvalidation{{Everything: true}}, ""},
		"nothing":               {nil, OK},
		"very many":             {many, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := startLeased(t)
			asked := d.ask("a", d.stream)
			for _, each := range test.by {
				d.invalidate(each)
			}
			d.tell(d.stream, fact(asked.id, "a"))
			d.want(d.reasonIn(asked), OK)
			d.want(d.reasonOf("a"), test.held)
		})
	}
}

func TestAnswersThoseWhoAskWhileALookUpIsUnderWayByWhatIsHeldOrByAnotherOne(t *testing.T) {
	d := startLeased(t)
	first, later := d.ask("b", d.stream), d.ask("b", d.stream)
	d.want(later.id, uint64(0))
	d.want(len(d.tell(d.stream, fact(first.id, "b"))), 0)
	d.want(d.reasonIn(later), OK)

	first, later = d.ask("a", d.stream), d.ask("a", d.stream)
	d.invalidate(&tokenv1.HoldInvalidation{Handles: []uint64{handleOf("a")}})
	again := d.tell(d.stream, fact(first.id, "a"))
	d.want(d.reasonIn(first), OK)
	d.want(len(later.answers), 0)
	inactive := fact(again[0], "a")
	inactive.IsActive = false
	d.tell(d.stream, inactive)
	d.want(d.reasonIn(later), Inactive)
	d.want(d.reasonOf("a"), Inactive)
}

func TestTellsUsesOnceByKey(t *testing.T) {
	d := startLeased(t)
	d.learn("a")
	d.learn("b", func(f *tokenv1.HoldFact) { f.KeyId = "id of a" })
	d.learn("c", func(f *tokenv1.HoldFact) { f.IsActive = false })
	d.reasonOf("a")
	d.pass(300 * time.Millisecond)
	for _, name := range []string{"a", "b", "c"} {
		d.reasonOf(name)
	}
	d.pass(200 * time.Millisecond)
	uses := func(count uint32, ago time.Duration) *tokenv1.HoldRenewal {
		return &tokenv1.HoldRenewal{
			Uses: []*tokenv1.HoldUse{{KeyId: "id of a", Count: count, LastUsedAgo: durationpb.New(ago)}},
		}
	}
	d.wantMessage(&tokenv1.HoldRenewal{Uses: d.Renewal(d.stream, d.clocks).GetUses()}, uses(3, 200*time.Millisecond))
	d.want(len(d.Renewal(d.stream, d.clocks).GetUses()), 0)
	d.reasonOf("b")
	d.wantMessage(&tokenv1.HoldRenewal{Uses: d.Renewal(d.stream, d.clocks).GetUses()}, uses(1, 0))
}

func TestTellsUsesOfVeryManyKeysByAndBy(t *testing.T) {
	d := start(t, 10_000, 0)
	d.renew(d.open(true), 1, leaseSpan)
	for count := range 1_500 {
		name := string(rune('a' + count))
		d.learn(name, func(f *tokenv1.HoldFact) { f.Handle, f.KeyId = uint64(count), name })
		d.want(d.reasonOf(name), OK)
	}
	d.want(len(d.Renewal(d.stream, d.clocks).GetUses()), 1_000)
	d.want(len(d.Renewal(d.stream, d.clocks).GetUses()), 500)
}
