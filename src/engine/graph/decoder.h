// SPDX-License-Identifier: Apache-2.0
//
// The one decoder: loads the tensors that a DecoderSpec calls for and runs a step of tokens through
// them on a backend.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/backend.h"

namespace omg {

class Decoder {
 public:
  /// Loads every tensor of `file` onto `backend` (which must outlive this). Error(kCorrupt) names a
  /// tensor that is missing or has the wrong shape, Error(kUnsupported) one that the family does
  /// not have: what a tensor would have done must not be silently left out.
  Decoder(const ModelFile& file, const DecoderSpec& spec, Backend& backend,
          const std::function<void(float)>& on_progress);
  ~Decoder();

  /// Runs the step; returns logits of step.logits_rows, [rows][vocab_size], valid until the next.
  std::span<float> run(const Step& step);

 private:
  struct Layer;
  struct Loader;
  void run_attention(uint32_t index, const Layer& layer);
  void run_feed_forward(const Layer& layer);
  void run_layer(uint32_t index, bool is_last);

  DecoderSpec spec_;
  Backend& backend_;
  std::unique_ptr<EmbeddingTable> embeddings_;
  std::vector<std::unique_ptr<Layer>> layers_;
  Norm output_norm_;
  std::unique_ptr<Matrix> head_;
  std::unique_ptr<Vector> head_bias_;

  // Activations of a step, reused by every layer.
  std::unique_ptr<Buffer> residual_;  // [embedding_length]
  std::unique_ptr<Buffer> normed_;    // what projections read
  std::unique_ptr<Buffer> qkv_;       // fused: all three; else null
  std::unique_ptr<Buffer> query_, key_, value_;
  std::unique_ptr<Buffer> attended_;  // [heads * value_length]
  std::unique_ptr<Buffer> gate_, up_;
  std::unique_ptr<Buffer> own_projected_, own_hidden_;  // null where another has room
  Buffer* projected_ = nullptr;  // [embedding_length]: output of attention or feed-forward
  Buffer* hidden_ = nullptr;     // what the last matrix reads
};

}  // namespace omg
