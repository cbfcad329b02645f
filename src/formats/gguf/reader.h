// SPDX-License-Identifier: Apache-2.0
//
// Reads GGUF v2 and v3, little endian, whole or split ("-00001-of-00003.gguf"), from hostile
// sources: every size is checked against what is left of the file before it is used, every count
// against a limit before anything is allocated. Source: the GGUF specification,
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/model_file.h"

namespace omg::gguf {

/// One file's header, as views into `bytes`.
struct Header {
  uint32_t version = 0;
  uint64_t alignment = 32;
  Metadata metadata;
  std::vector<TensorView> tensors;
};

/// Parses the header and places every tensor inside `bytes`. Pure: no I/O, so the fuzzer calls it.
/// Throws Error(kCorrupt, kUnsupported or kLimitExceeded) with `path`, the key or tensor, and the
/// offset of what is wrong.
Header parse(std::span<const std::byte> bytes, const std::string& path);

/// The value of general.architecture, from the first bytes of a file, such as one that is still to
/// be downloaded. Nothing if it stands behind them or not at all. Throws Error for what is no GGUF
/// of a version that parse() reads.
std::optional<std::string> peek_architecture(std::span<const std::byte> first_bytes,
                                             const std::string& path);

/// Maps and parses a model. For a split model `path` may be any part; all parts must stand beside
/// it and agree on their count.
ModelFile open(const std::string& path);
ModelFile open(MappedFile file);

}  // namespace omg::gguf
