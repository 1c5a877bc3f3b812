package picture

import (
	"errors"
	"fmt"
	"image/color"
	"os"

	"gonum.org/v1/plot/vg/vgsvg"
)

// Inks are colours that are apart from each other for all eyes.
var Inks = []color.RGBA{
	{0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x72, 0xb2, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff}, {0x99, 0x80, 0x00, 0xff}, {0x33, 0x33, 0x33, 0xff},
}

// Save writes the canvas to a file.
func Save(path string, canvas *vgsvg.Canvas) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = canvas.WriteTo(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
