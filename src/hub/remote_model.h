// SPDX-License-Identifier: Apache-2.0
//
// What a hub answers to a name: a model at one commit or manifest, as a list of files with their
// sizes, digests and addresses. Whoever transfers and stores models sees these types and no hub.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "net/http_client.h"

namespace omg {

/// What a file is for.
enum class RemoteFileRole {
  kWeights,    // .gguf or .safetensors, one part or the whole
  kProjector,  // weights that turn images or sound into embeddings (mmproj)
  kAdapter,    // LoRA weights
  kConfig,     // config.json, tokenizer files, generation_config.json, an index of parts
  kTemplate,   // a registry's layer of text: template, system, params, messages
  kLicense,
  kOther,
};

/// A size that the hub does not tell in its lists. What resolve() returns never has it.
inline constexpr uint64_t kUnknownSize = UINT64_MAX;

struct RemoteFile {
  /// Relative, '/' between parts, checked by check_remote_path(); safe to join to a folder.
  std::string path;
  uint64_t size = 0;
  /// Known beforehand for large files of Hugging Face and for all of registries.
  std::optional<Digest> sha256;
  /// Where to GET it with ranges; redirects to other hosts are usual.
  std::string url;
  /// What the hub said (quotes and W/ removed); "" if nothing. A change means another file. To be
  /// held against X-Linked-Etag where an answer or a redirect before it has one, else against ETag:
  /// what the hub's storage calls the bytes is another matter.
  std::string etag;
  /// SHA-1 that git gives to "blob <size>\0<bytes>", 40 hex digits: all that Hugging Face says of
  /// small files. "" if unknown.
  std::string git_sha1;
  RemoteFileRole role = RemoteFileRole::kOther;
  /// Media type of a registry's layer, "" elsewhere.
  std::string media_type;
  /// The header Authorization for `url`'s own origin (HttpRequest::authorization); "" for none.
  /// Never to be stored or shown.
  std::string authorization;
  /// For HttpRequest::addresses: kPublicOnly where the address came from a server.
  HttpAddresses addresses = HttpAddresses::kAny;
};

enum class RemoteSource { kHuggingFace, kRegistry, kUrl };

struct RemoteModel {
  RemoteSource source = RemoteSource::kHuggingFace;
  /// As a user would write it, with what was chosen: "org/repo:Q4_K_M", "registry.example/a/b:tag".
  std::string name;
  std::string endpoint;    // "https://huggingface.co"
  std::string repository;  // "org/repo", "library/llama3", a URL
  std::string revision;    // as asked for: branch, tag or commit; "main", "latest"
  /// What it stands for: commit (40 hex digits), or "sha256:…" of a registry's manifest, or the
  /// ETag of a URL.
  std::string commit;
  std::string quantization;  // "Q4_K_M"; "" where there is no choice
  std::string license;       // SPDX-like id, or ""
  std::string pipeline;      // Hugging Face's task: "text-generation", or ""
  std::vector<std::string> tags;
  /// Terms have to be accepted before files are given out (lists are given to all).
  bool is_gated = false;
  /// A registry's manifest, byte for byte, since its digest is the model's name there; else "".
  std::string manifest;
  std::vector<RemoteFile> files;

  uint64_t total_bytes() const;
};

/// An ETag without W/ and quotes.
std::string plain_etag(std::string_view etag);

/// Throws Error(kCorrupt), naming `source`, unless `path` is relative, 1 to 1024 bytes of UTF-8,
/// without empty, "." and ".." parts, backslashes, colons, control characters, and parts beyond 255
/// bytes: it could leave the folder that it is put in.
void check_remote_path(const std::string& path, const std::string& source);

}  // namespace omg
