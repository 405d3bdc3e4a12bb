package server

import (
	"context"

	"paygate/server/api"
)

func (s *Server) proofNow() api.Proof {
	s.proving.Lock()
	defer s.proving.Unlock()
	return s.proof
}

func (s *Server) lastProof(context.Context, api.None) (api.Proof, error) { return s.proofNow(), nil }

// verify begins a proof beside the calls; GET tells how far it is.
func (s *Server) verify(context.Context, api.None) (api.Proof, error) {
	s.proving.Lock()
	defer s.proving.Unlock()
	if s.proof.Running || s.ctx.Err() != nil {
		return s.proof, nil
	}
	s.proof.Running, s.proof.Done = true, 0
	s.loops.Go(s.prove)
	return s.proof, nil
}

func (s *Server) prove() {
	p, err := s.book.Verify(s.ctx, func(done float64) {
		s.proving.Lock()
		s.proof.Done = done
		s.proving.Unlock()
	})
	s.proving.Lock()
	defer s.proving.Unlock()
	s.proof.Running = false
	if err != nil {
		s.opts.Log.Error("the proof of the books broke off", "error", err)
		return
	}
	at := s.opts.Now().UTC()
	s.proof = api.Proof{At: &at, Done: 1, OK: p.OK(), Events: p.Events, Entries: p.Entries, Balances: p.Balances, Faults: p.Faults}
}
