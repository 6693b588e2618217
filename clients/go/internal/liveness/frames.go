package liveness

// HTTP/2, RFC 9113: what a client sends begins with a preface, and goes on with frames, each with a header of 9 bytes.
const (
	prefaceLength = 24
	headerLength  = 9

	frameHeaders      = 0x1
	frameContinuation = 0x9
	flagEndHeaders    = 0x4
)

// pingFrame is a PING whose data the library does not take for its own.
var pingFrame = []byte{0, 0, 8, 0x6, 0, 0, 0, 0, 0, 'k', 'e', 'y', 'w', 'a', 'r', 'd', '?'}

// frames follows what a client sends, to know when a frame of one's own may stand between two others.
type frames struct {
	// skip is how many bytes are left of the preface, or of the payload of a frame.
	skip int
	// header is as much as was sent of a header that is not complete.
	header []byte
	// isOpen is true after a header block that is to be continued: nothing may stand in between.
	isOpen bool
}

func newFrames() frames {
	return frames{skip: prefaceLength}
}

// atBoundary tells whether the last frame is complete, and another one may follow.
func (f *frames) atBoundary() bool {
	return f.skip == 0 && len(f.header) == 0 && !f.isOpen
}

func (f *frames) sent(data []byte) {
	for len(data) > 0 {
		if f.skip > 0 {
			passed := min(f.skip, len(data))
			f.skip -= passed
			data = data[passed:]
			continue
		}
		taken := min(headerLength-len(f.header), len(data))
		f.header = append(f.header, data[:taken]...)
		data = data[taken:]
		if len(f.header) == headerLength {
			f.begin()
		}
	}
}

func (f *frames) begin() {
	f.skip = int(f.header[0])<<16 | int(f.header[1])<<8 | int(f.header[2])
	if kind := f.header[3]; kind == frameHeaders || kind == frameContinuation {
		f.isOpen = f.header[4]&flagEndHeaders == 0
	}
	f.header = f.header[:0]
}
