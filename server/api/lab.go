package api

// LabPrice is what a tool costs on a sheet: decimals as text, so that nothing
// is rounded on the way.
type LabPrice struct {
	PerCall  string `json:"per_call,omitempty"`
	PerKBIn  string `json:"per_kb_in,omitempty"`
	PerKBOut string `json:"per_kb_out,omitempty"`
}

// LabSheet is a column of the pricing lab: GET /admin/shadow/sheets.
type LabSheet struct {
	Name    string              `json:"name"` // of the experiment; "live" is what is charged
	Hash    string              `json:"hash"`
	State   string              `json:"state"` // of the experiment
	Rules   int                 `json:"rules"` // 0: prices by tool alone
	Plans   int                 `json:"plans"`
	Faults  []string            `json:"mistakes,omitempty"` // of a draft, each with its place; then there are no prices
	Default LabPrice            `json:"default"`            // of tools that no rule is for
	Tools   map[string]LabPrice `json:"tools"`              // what is posted for each tool; conditions may make a call cost another price
}

// LabSheets answers GET /admin/shadow/sheets, live first.
type LabSheets struct {
	Sheets []LabSheet `json:"sheets"`
}
