//go:build linux

package keyward

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"
)

// BenchmarkCheck tells what a check costs this process: by memory, with the text hashed or bound, and by a call.
func BenchmarkCheck(b *testing.B) {
	service := startReplica(b, makeDataDir(b))
	text := service.adminToken()
	client := openClient(b, Options{Token: text}, service.address)
	validator, err := NewValidator(client, ValidatorOptions{})
	if err != nil {
		b.Fatal(err)
	}
	eventually(b, "a token that is held", func() bool {
		verdict, err := validator.Validate(b.Context(), text)
		return err == nil && verdict.Valid && validator.Len() == 1
	})
	bound := validator.Bind(text)
	b.Run("memory", func(b *testing.B) {
		perCall(b, func() bool {
			verdict, err := validator.Validate(b.Context(), text, "orders:read")
			return err == nil && verdict.Valid
		})
	})
	b.Run("memory, bound", func(b *testing.B) {
		perCall(b, func() bool { verdict, ok := bound.ValidateCached("orders:read"); return ok && verdict.Valid })
	})
	b.Run("call", func(b *testing.B) {
		request := &tokenv1.ValidateTokenRequest{Token: text, RequiredScopes: []string{"orders:read"}}
		perCall(b, func() bool {
			response, err := client.Tokens.ValidateToken(b.Context(), request)
			return err == nil && response.GetValid()
		})
	})
}

// perCall reports the CPU of the whole process besides the time.
func perCall(b *testing.B, check func() bool) {
	b.ReportAllocs()
	before := cpuTime()
	for b.Loop() {
		if !check() {
			b.Fatal("it does not pass")
		}
	}
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N)/1000, "cpu-µs/op")
}

func cpuTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
