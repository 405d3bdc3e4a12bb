// Package tui is PayGate in a terminal: a dashboard that shows every call and
// credit as it happens and manages keys, prices and servers.
//
// It is a client of the admin API and nothing else: beside the gateway its
// requests take an in-process way, attached they go over the network, and the
// screens cannot tell. One model owns all state; a screen is a plain struct
// with Update and Draw. Reading and writing happens in commands, which change
// nothing: they bring an answer back, and Update takes it in.
//
// It does not know the store, the ledger or the server, keeps nothing on disk,
// and never writes to the terminal but through its frame.
package tui
