// Package api says what the gateway's HTTP API is made of: routes as values,
// roles, the kinds of errors, and the shapes that the terminal dashboard
// shares with the server. It knows neither the gate nor the store.
package api

// DemoHeader is on every answer of a gateway whose data is made up.
const DemoHeader = "X-Paygate-Demo"
