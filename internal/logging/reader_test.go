package logging

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
)

// daemonMark makes this test binary a process that logs to its stderr.
const daemonMark = "ARC_LOGGING_TEST_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(daemonMark) != "" {
		os.Exit(logUntilInputEnds())
	}
	outliveReaders() // not in a bubble of synctest, which the runtime's signal goroutine would outlive
	os.Exit(m.Run())
}

// logUntilInputEnds logs each line of stdin, and answers it on stdout when the
// log has taken it.
func logUntilInputEnds() int {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		log, flush := NewAsync(Options{Output: os.Stderr})
		log.Info(in.Text())
		flush()
		if _, err := os.Stdout.WriteString("logged\n"); err != nil {
			return 1
		}
	}
	return 0
}

func TestProcessOutlivesTheReaderOfItsLog(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), daemonMark+"=1")
	cmd.Stderr = writer
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	answers := bufio.NewScanner(out)
	log := func(text string) bool {
		_, _ = in.Write([]byte(text + "\n")) // fails when the process has ended
		return answers.Scan()
	}
	if !log("heard") {
		t.Error("the process ended while its log was read")
	}
	_ = reader.Close()
	for range 3 {
		if !log("unheard") {
			t.Error("the process ended with the reader of its log")
		}
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
}

// A disk that is full for a while: the lines are lost, and that is told.
func TestAsyncCountsWhatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &failing{err: errors.New("no space left on device")}
		log, flush := NewAsync(Options{Output: w})
		for range 5 {
			log.Info("lost")
		}
		synctest.Wait()
		w.err = nil
		log.Info("written")
		flush()
		text := w.text.String()
		if strings.Contains(text, "lost") || !strings.Contains(text, "written") || !strings.Contains(text, "log lines dropped, the log could not be written: count=5") {
			t.Errorf("log is %q, want the line that could be written and a count of the 5 others", text)
		}
	})
}

type failing struct {
	err  error
	text strings.Builder
}

func (f *failing) Write(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.text.Write(p)
}
