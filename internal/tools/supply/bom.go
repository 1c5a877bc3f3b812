package main

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// bom writes down the modules of a program, with their checksums and the licences
// that the page has. It has neither a time nor a random number: equal programs give
// equal bytes.
func bom(page, program string, out io.Writer) error {
	licences, err := listed(page, licenceRow)
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	self := component(cdx.ComponentTypeApplication, &info.Main)
	b := cdx.NewBOM()
	b.Metadata = &cdx.Metadata{Component: &self, Properties: settings(info)}
	std := component(cdx.ComponentTypeLibrary, &debug.Module{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")})
	std.Licenses = licensed("BSD-3-Clause")
	parts := []cdx.Component{std}
	for _, dep := range info.Deps {
		if licences[dep.Path] == "" {
			return fmt.Errorf("%s is in %s, and %s does not have its licence", dep.Path, program, page)
		}
		c := component(cdx.ComponentTypeLibrary, dep)
		c.Licenses = licensed(licences[dep.Path])
		parts = append(parts, c)
	}
	refs := make([]string, len(parts))
	for i := range parts {
		refs[i] = parts[i].BOMRef
	}
	b.Components = &parts
	b.Dependencies = &[]cdx.Dependency{{Ref: self.BOMRef, Dependencies: &refs}}
	return cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON).SetPretty(true).Encode(b)
}

// component is a module. Its checksum is that of go.sum.
func component(kind cdx.ComponentType, m *debug.Module) cdx.Component {
	at := purl(m.Path, m.Version)
	c := cdx.Component{Type: kind, BOMRef: at, Name: m.Path, Version: m.Version, PackageURL: at}
	if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(sum) > 0 {
		c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
	}
	return c
}

func licensed(id string) *cdx.Licenses { return &cdx.Licenses{{License: &cdx.License{ID: id}}} }

// purl is the address of a module in all registries.
func purl(path, version string) string {
	return "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
}

// settings are those that the program was built with.
func settings(info *debug.BuildInfo) *[]cdx.Property {
	list := []cdx.Property{{Name: "go:version", Value: info.GoVersion}}
	for _, s := range info.Settings {
		list = append(list, cdx.Property{Name: "go:build:" + s.Key, Value: s.Value})
	}
	return &list
}
