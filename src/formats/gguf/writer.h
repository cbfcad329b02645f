// SPDX-License-Identifier: Apache-2.0
//
// Writes GGUF v3. The header goes first, so shapes and types are declared before any data; then
// each tensor's data is streamed in the declared order, so a file of any size needs no memory. The
// file appears under its name only when finish() has written, synced and renamed it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/metadata.h"
#include "formats/weight_type.h"

namespace omg::gguf {

struct TensorDeclaration {
  std::string name;
  WeightType type;
  uint32_t rank;
  std::array<uint64_t, 4> shape;  // shape[0] is the row length
};

/// Not thread-safe. Destroyed before finish(), it removes the temporary file.
class Writer {
 public:
  /// Creates "<path>.partial-<pid>" and writes the header. Throws Error(kIo, kInvalidArgument).
  Writer(const std::string& path, const Metadata& metadata, std::vector<TensorDeclaration> tensors);
  Writer(const Writer&) = delete;
  ~Writer();

  /// Appends data of the current tensor; its bytes may come in pieces, none of which goes on into
  /// the next tensor. Error(kInvalidArgument) when more comes than was declared.
  void write(std::span<const std::byte> data);
  /// Checks that every tensor is complete, syncs and renames into place.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace omg::gguf
