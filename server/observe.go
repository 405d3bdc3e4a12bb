package server

import "paygate/server/api"

// observe are the routes that tell what happens.
func (s *Server) observe() []api.Route {
	return []api.Route{}
}
