package upstream

import (
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

func prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP, HideWindow: true}
}

// group is the job object of a child and all it starts. The system ends the
// job when its last handle closes, so also when the gateway dies.
type group struct{ job windows.Handle }

func adopt(p *os.Process) (group, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return group{}, err
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err != nil {
		return group{}, err
	}
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(p.Pid))
	if err != nil {
		return group{}, err
	}
	defer func() { _ = windows.CloseHandle(h) }()
	return group{job: job}, windows.AssignProcessToJobObject(job, h)
}

// terminate does nothing: a console child has been asked by its closed input.
func (g group) terminate() {}

func (g group) kill() {
	if g.job != 0 {
		_ = windows.TerminateJobObject(g.job, 1) // it may be empty already
	}
}

// guard is not needed here: the job does its work.
type guard struct{}

func newGuard() *guard      { return &guard{} }
func (g *guard) watch(int)  {}
func (g *guard) forget(int) {}
func (g *guard) close()     {}
