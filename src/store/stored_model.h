// SPDX-License-Identifier: Apache-2.0
//
// What the store knows of a model: its name, where it came from, which files it is made of and
// where their bytes lie, and the settings layered on them. This is what a manifest holds.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/json.h"

namespace omg {

struct FileInfo;

/// A model's name in the store, as the hub's grammar or the user made it: "org/repo:Q4_K_M",
/// "llama3.2:1b", "registry.example/ns/name:tag", "https://host/file.gguf". The store gives it no
/// meaning. Two names are one if they differ only in the case of letters before any '@' (revisions
/// have case) and are no URLs; the case is kept for showing.
class StoreName {
 public:
  static constexpr size_t kMaxBytes = 1024;

  /// Throws Error(kInvalidArgument) unless `text` is 1 to kMaxBytes of UTF-8 without control
  /// characters and without spaces at its ends.
  explicit StoreName(std::string_view text);

  const std::string& str() const { return text_; }
  /// A file name that stands for this name and for no other: [a-z0-9._@+=%~-], at most 200 bytes,
  /// the same for names that are one. '/' is '+', ':' is '=', other bytes are %XX; names that would
  /// be longer end in a digest.
  const std::string& key() const { return key_; }

  friend bool operator==(const StoreName& a, const StoreName& b) { return a.key_ == b.key_; }
  friend auto operator<=>(const StoreName& a, const StoreName& b) { return a.key_ <=> b.key_; }

 private:
  std::string text_;
  std::string key_;
};

/// Where a model came from.
enum class ModelProvider {
  kHuggingFace,
  kRegistry,  // Ollama or OCI
  kUrl,
  kFile,     // a file or folder on this machine
  kCreated,  // settings layered on another model: `base`
  kBuiltIn,  // linked into the program
};

struct ModelOrigin {
  ModelProvider provider = ModelProvider::kFile;
  std::string endpoint;    // "https://huggingface.co", "" where there is none
  std::string repository;  // "org/repo", "library/llama3", a URL, a path
  std::string revision;    // branch, tag or commit as asked for
  std::string commit;      // what it stood for: commit, or "sha256:…" of a registry's manifest
};

/// Whose file a reference points to.
enum class FileOwner {
  kHuggingFaceCache,
  kOllama,
  kLmStudio,
  kUser,
  kProgram,  // of builtin/builtin.h; in no manifest: another program may have other bytes
};

/// A file outside the store (or one shared with its owner by a hard link), as it was when it was
/// adopted. It is compared before each use, so that a change by its owner is never missed. A copy
/// back to the same time and size under another inode counts as a change.
struct FileReference {
  std::string path;  // absolute, without links
  FileOwner owner = FileOwner::kUser;
  uint64_t size = 0;
  int64_t modified_ns = 0;
  uint64_t inode = 0;

  bool matches(const FileInfo& info) const;
};

/// One file of a model. Its bytes are the store's own blob `digest`, or `reference`.
struct Artifact {
  /// Relative, '/' between parts: "model.gguf", "onnx/config.json".
  std::string filename;
  uint64_t size = 0;
  /// Always known for blobs; for references once the foreign layout or verify() has told it.
  std::optional<Digest> digest;
  std::string etag;        // as the hub gave it
  std::string format;      // "gguf", "safetensors", "json", …; "" unknown
  std::string role;        // "weights", "projector", "adapter", "config", "template", "license", …
  std::string media_type;  // of a registry's layer, else ""
  std::optional<FileReference> reference;

  bool is_blob() const { return !reference; }
  bool is_in_program() const { return reference && reference->owner == FileOwner::kProgram; }
};

struct ModelMessage {
  std::string role;
  std::string content;
};

/// What is layered on the files. What is absent is taken from the files themselves.
struct ModelSettings {
  std::optional<std::string> system;
  std::optional<std::string> chat_template;
  /// "jinja", or "go" for templates of Ollama's models.
  std::string template_syntax;
  json::object parameters;  // e.g. {"temperature": 0.7, "stop": ["</s>"]}
  std::vector<ModelMessage> messages;
  std::optional<std::string> license_text;

  /// These settings over `base`: what is set here wins; parameters are merged by key; messages are
  /// replaced if there are any here.
  ModelSettings over(const ModelSettings& base) const;
};

/// A manifest. Plain data: fill it in and hand it to Store::publish.
struct StoredModel {
  explicit StoredModel(StoreName model_name) : name(std::move(model_name)) {}

  StoreName name;
  ModelOrigin origin;
  /// For kCreated: the model that this was made from. Only told: its files are listed here too.
  std::string base;
  std::string license;                    // SPDX-like id, or ""
  std::string family;                     // "llama", "qwen2", …
  std::string quantization;               // "Q4_K_M", …
  uint64_t context_length = 0;            // tokens, 0 unknown
  uint64_t parameter_count = 0;           // weights, 0 unknown
  std::vector<std::string> capabilities;  // "completion", "tools", "embedding", …
  /// What the caller wants kept besides, shown by no listing (e.g. a registry's own manifest).
  json::object extra;
  std::vector<Artifact> artifacts;
  ModelSettings settings;
  int64_t installed_at = 0;  // seconds since 1970; publish() sets it if 0

  uint64_t total_bytes() const;
  /// Digest over the files' names, sizes and digests: equal for names that share all their files.
  Digest files_digest() const;
  bool is_built_in() const { return origin.provider == ModelProvider::kBuiltIn; }
};

std::string_view provider_name(ModelProvider provider);  // "huggingface", "registry", …
std::string_view owner_name(FileOwner owner);            // "huggingface-cache", "ollama", …
/// For messages: "Hugging Face's cache", "Ollama", "LM Studio", "you".
std::string_view owner_title(FileOwner owner);

}  // namespace omg
