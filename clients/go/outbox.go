package keyward

import tokenv1 "keyward.dev/keyward/gen/keyward/token/v1"

// maxTexts is how many texts one message may ask for.
const maxTexts = 500

// outbox is what is to be sent on a stream, in order. What follows and can go in one message with the last does.
type outbox struct {
	messages []*tokenv1.HoldVerdictsRequest
	// wake is told when there is something.
	wake chan struct{}
}

func newOutbox() outbox {
	return outbox{wake: make(chan struct{}, 1)}
}

func (o *outbox) add(message *tokenv1.HoldVerdictsRequest) {
	o.messages = append(o.messages, message)
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) lookUp(text *tokenv1.HoldText) {
	if last := o.last().GetLookUp(); last != nil && len(last.GetTexts()) < maxTexts {
		last.Texts = append(last.Texts, text)
		return
	}
	texts := &tokenv1.HoldLookUp{Texts: []*tokenv1.HoldText{text}}
	o.add(&tokenv1.HoldVerdictsRequest{Message: &tokenv1.HoldVerdictsRequest_LookUp{LookUp: texts}})
}

// access sends nothing where there is nothing to ask for.
func (o *outbox) access(access *tokenv1.HoldAccess) {
	if access != nil {
		o.add(&tokenv1.HoldVerdictsRequest{Message: &tokenv1.HoldVerdictsRequest_Access{Access: access}})
	}
}

// acknowledge tells of one invalidation and all before it.
func (o *outbox) acknowledge(number uint64) {
	if last := o.last().GetAcknowledgement(); last != nil {
		last.Number = number
		return
	}
	acknowledgement := &tokenv1.HoldAcknowledgement{Number: number}
	o.add(&tokenv1.HoldVerdictsRequest{
		Message: &tokenv1.HoldVerdictsRequest_Acknowledgement{Acknowledgement: acknowledgement},
	})
}

// take gives what is to be sent next; nil if there is nothing.
func (o *outbox) take() *tokenv1.HoldVerdictsRequest {
	if len(o.messages) == 0 {
		return nil
	}
	first := o.messages[0]
	o.messages[0] = nil
	o.messages = o.messages[1:]
	return first
}

func (o *outbox) last() *tokenv1.HoldVerdictsRequest {
	if len(o.messages) == 0 {
		return nil
	}
	return o.messages[len(o.messages)-1]
}
