// Command protogen makes the Go code of the .proto files below a folder, with
// the generators that this module pins: a compiler for .proto files, and the
// plugins. The rules for the files are buf's, see scripts/lint.
//
//	go run -C internal/tools ./protogen -root ../.. -o ../..
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

var plugins = []string{"protoc-gen-go", "protoc-gen-go-grpc"}

func main() {
	root := flag.String("root", ".", "the folder whose proto/ is compiled")
	out := flag.String("o", ".", "the folder that the generated files go to, with their paths")
	flag.Parse()
	if err := generate(*root, *out); err != nil {
		fmt.Fprintf(os.Stderr, "protogen: %v\n", err)
		os.Exit(1)
	}
}

func generate(root, out string) error {
	names, err := sources(root)
	if err != nil {
		return err
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{filepath.Join(root, "proto")}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	req := &pluginpb.CodeGeneratorRequest{FileToGenerate: names, Parameter: proto.String("paths=source_relative")}
	seen := map[string]bool{}
	for _, f := range files {
		req.ProtoFile = withImports(req.ProtoFile, seen, f)
	}
	for _, p := range plugins {
		if err := run(p, req, out); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// sources are the .proto files below proto/, by their paths from there.
func sources(root string) ([]string, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(filepath.Join(root, "proto")), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(name) == ".proto" {
			names = append(names, name)
		}
		return err
	})
	slices.Sort(names)
	return names, err
}

// withImports adds a file's description after those of its imports.
func withImports(all []*descriptorpb.FileDescriptorProto, seen map[string]bool, f protoreflect.FileDescriptor) []*descriptorpb.FileDescriptorProto {
	if seen[f.Path()] {
		return all
	}
	seen[f.Path()] = true
	for i := range f.Imports().Len() {
		all = withImports(all, seen, f.Imports().Get(i).FileDescriptor)
	}
	return append(all, protodesc.ToFileDescriptorProto(f))
}

// run lets a plugin generate, and writes what it made.
func run(plugin string, req *pluginpb.CodeGeneratorRequest, out string) error {
	in, err := proto.Marshal(req)
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "tool", plugin)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	b, err := cmd.Output()
	if err != nil {
		return err
	}
	var resp pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(b, &resp); err != nil {
		return err
	}
	if resp.Error != nil {
		return errors.New(resp.GetError())
	}
	for _, f := range resp.GetFile() {
		name := filepath.Join(out, "proto", filepath.FromSlash(f.GetName()))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(f.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
