// SPDX-License-Identifier: Apache-2.0
//
// The one grammar of model names (SPEC.md §2). A name is parsed once, here, and everything past
// that sees a checked value: no part can hold "..", control characters or be of any length.
//
//   alias       name[:tag]                          llama3.2:1b
//   repository  [hf.co/]org/repo[:QUANT][@REVISION] bartowski/gemma-2-2b-it-GGUF:Q4_K_M
//   registry    host[:port]/[namespace/…]name[:tag|@sha256:…]
//                                                   registry.ollama.ai/library/llama3:8b
//   URL         http[s]://…/file.gguf
//   path        what begins with '/', './', '../' or '~/', or ends in .gguf
//
// Two parts are a repository; three and more begin with a host. A host with a port, or localhost,
// is one in front of a single name too. https://huggingface.co/org/repo and pages below it are what
// a browser shows, and are understood.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/digest.h"

namespace omg {

/// Of the catalogue, or made by the user.
struct AliasName {
  std::string name;
  std::string tag;  // "" if none was written
  friend bool operator==(const AliasName&, const AliasName&) = default;
};

struct HuggingFaceName {
  std::string organization;
  std::string repository;
  std::string quantization;  // as written; "" if none
  std::string revision;      // branch, tag, commit or refs/…; "" if none
  std::string id() const { return organization + "/" + repository; }
  friend bool operator==(const HuggingFaceName&, const HuggingFaceName&) = default;
};

struct RegistryName {
  std::string scheme;      // "http" or "https" if one was written, else ""
  std::string host;        // lower case, with ":port" if one was written
  std::string repository;  // "library/llama3"; all of the path but the tag
  std::string tag;         // "latest" if neither tag nor digest was written
  std::optional<Digest> digest;
  friend bool operator==(const RegistryName&, const RegistryName&) = default;
};

struct UrlName {
  std::string url;  // normal form; the path ends in .gguf
  friend bool operator==(const UrlName&, const UrlName&) = default;
};

struct PathName {
  std::string path;  // as written
  friend bool operator==(const PathName&, const PathName&) = default;
};

using ModelName = std::variant<AliasName, HuggingFaceName, RegistryName, UrlName, PathName>;

/// Throws Error(kInvalidArgument) that says which part is wrong and what is allowed there.
ModelName parse_model_name(std::string_view text);
/// The shortest text that parses to the same name.
std::string to_string(const ModelName& name);

}  // namespace omg
