// SPDX-License-Identifier: Apache-2.0
//
// Tensors are cut into pieces of a fixed number of weights; blocks do not depend on each other, so
// the pieces are converted in any order and written in theirs.
#include "formats/convert/quantize_file.h"

#include <algorithm>
#include <filesystem>
#include <sched.h>
#include <thread>

#include "base/error.h"
#include "formats/convert/ordered_work.h"
#include "formats/gguf/reader.h"
#include "formats/gguf/writer.h"
#include "formats/quant/block_codes.h"
#include "formats/quant/dequantize.h"
#include "formats/quant/quantize.h"
#include "formats/weight_mixture.h"

namespace omg {
namespace {

/// Weights of a piece: 1 MiB of floats, a whole number of every type's blocks. With two pieces of
/// output for each thread, that is at most 3 MiB a thread.
constexpr uint64_t kPieceElements = 256 * 1024;
constexpr size_t kSlotsPerThread = 2;
constexpr size_t kMaxThreads = 256;
/// Row length that every block divides.
constexpr uint64_t kFittingRow = 256;
/// Of the layouts of blocks, as files have said since 2023.
constexpr uint32_t kQuantizationVersion = 2;

WeightMixture mixture_of(const QuantizeFileOptions& options) {
  if (const auto mixture = WeightMixture::from_name(options.type, options.pure)) return *mixture;
  std::string names;
  for (const auto name : WeightMixture::names()) {
    names += names.empty() ? "" : ", ";
    names += name;
  }
  throw Error(ErrorCode::kInvalidArgument,
              "cannot quantize to '" + options.type + "': no such type; use one of " + names);
}

MixtureModel facts_of(const ModelFile& model) {
  const auto architecture = model.metadata().find_string("general.architecture").value_or("");
  const auto count = [&](const char* key) {
    return model.metadata().find_u32(std::string(architecture) + key).value_or(0);
  };
  MixtureModel facts;
  facts.layers = count(".block_count");
  facts.experts = count(".expert_count");
  facts.tied_embeddings = model.find_tensor("output.weight") == nullptr;
  return facts;
}

std::vector<TensorConversion> plan(const ModelFile& model, const WeightMixture& mixture) {
  const MixtureModel facts = facts_of(model);
  std::vector<TensorConversion> tensors;
  tensors.reserve(model.tensors().size());
  for (const TensorView& tensor : model.tensors()) {
    const WeightType to = mixture.type_of(facts, tensor.name, tensor.rank, tensor.shape[0]);
    const WeightType wanted = mixture.type_of(facts, tensor.name, tensor.rank, kFittingRow);
    tensors.push_back({std::string(tensor.name), tensor.type, to,
                       wanted == to ? std::nullopt : std::optional(wanted), tensor.elements()});
  }
  return tensors;
}

void check_output(const ModelFile& model, const std::string& out) {
  for (const MappedFile& file : model.files()) {
    std::error_code absent;  // a file that is not there is another one
    if (std::filesystem::equivalent(file.path(), out, absent)) {
      throw Error(ErrorCode::kInvalidArgument,
                  "cannot quantize " + model.path() + " to " + out +
                      ": it is the model that is read; choose another file name");
    }
  }
}

Metadata new_metadata(const Metadata& old, const WeightMixture& mixture) {
  Metadata metadata;
  for (const auto& entry : old.entries()) metadata.copy_entry(entry);
  metadata.set_u32("general.file_type", mixture.file_type());
  metadata.set_u32("general.quantization_version", kQuantizationVersion);
  return metadata;
}

std::vector<gguf::TensorDeclaration> declarations(const ModelFile& model,
                                                  const std::vector<TensorConversion>& tensors) {
  std::vector<gguf::TensorDeclaration> result;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorView& tensor = model.tensors()[i];
    result.push_back({tensors[i].name, tensors[i].to, tensor.rank, tensor.shape});
  }
  return result;
}

/// The processors that this process may use: a container or taskset often allows fewer than there
/// are.
size_t usable_threads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    return std::max<size_t>(1, static_cast<size_t>(CPU_COUNT(&set)));
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

uint64_t bytes_of(WeightType type, uint64_t elements) {
  return elements / info(type).block_elements * info(type).block_bytes;
}

/// Converts one model. Not thread-safe but for convert(), which needs its own slot and worker.
class Conversion {
 public:
  Conversion(const ModelFile& model, const std::vector<TensorConversion>& tensors,
             gguf::Writer& writer, const QuantizeFileOptions& options)
      : model_(model), tensors_(tensors), writer_(writer), options_(options) {
    for (const TensorConversion& tensor : tensors) {
      first_pieces_.push_back(pieces_);
      pieces_ += static_cast<size_t>((tensor.elements + kPieceElements - 1) / kPieceElements);
    }
  }

  void run() {
    OrderedWork work;
    work.count = pieces_;
    work.threads = std::min(options_.threads ? options_.threads : usable_threads(), kMaxThreads);
    work.slots = work.threads * kSlotsPerThread;
    floats_.resize(work.threads);
    slots_.resize(work.slots);
    work.produce = [this](size_t i, size_t slot, size_t worker) { convert(i, slot, worker); };
    work.consume = [this](size_t i, size_t slot) { write(i, slot); };
    run_in_order(work);
  }

 private:
  struct Piece {
    size_t tensor;
    uint64_t elements;
    std::span<const std::byte> source;
    bool is_last;  // of its tensor
  };
  struct Slot {
    std::vector<std::byte> buffer;
    std::span<const std::byte> output;  // the buffer's, or the source itself
  };

  Piece piece(size_t index) const {
    const auto after = std::upper_bound(first_pieces_.begin(), first_pieces_.end(), index);
    const auto tensor = static_cast<size_t>(after - first_pieces_.begin()) - 1;
    const uint64_t begin = (index - first_pieces_[tensor]) * kPieceElements;
    const uint64_t elements = std::min(kPieceElements, tensors_[tensor].elements - begin);
    const WeightType from = tensors_[tensor].from;
    return {tensor, elements,
            model_.tensors()[tensor].bytes.subspan(bytes_of(from, begin), bytes_of(from, elements)),
            begin + elements == tensors_[tensor].elements};
  }

  void convert(size_t index, size_t slot_index, size_t worker) {
    const Piece part = piece(index);
    const auto& [name, from, to, wanted, elements] = tensors_[part.tensor];
    Slot& slot = slots_[slot_index];
    if (from == to) {
      slot.output = part.source;
      return;
    }
    std::vector<float>& floats = floats_[worker];
    floats.resize(part.elements);
    dequantize(from, part.source, floats);
    slot.buffer.resize(bytes_of(to, part.elements));
    quantize(to, floats, slot.buffer);
    slot.output = slot.buffer;
  }

  void write(size_t index, size_t slot) {
    options_.cancellation.throw_if_cancelled();
    const Piece part = piece(index);
    writer_.write(slots_[slot].output);
    const TensorView& tensor = model_.tensors()[part.tensor];
    model_.files()[tensor.file_index].release(part.source);
    bytes_read_ += part.source.size();
    if (!part.is_last) return;
    model_.release(tensor);  // with the pages on the borders of its pieces
    if (!options_.on_progress) return;
    options_.on_progress({&tensors_[part.tensor], part.tensor + 1, tensors_.size(), bytes_read_,
                          model_.total_bytes()});
  }

  const ModelFile& model_;
  const std::vector<TensorConversion>& tensors_;
  gguf::Writer& writer_;
  const QuantizeFileOptions& options_;
  std::vector<size_t> first_pieces_;  // of each tensor
  size_t pieces_ = 0;
  std::vector<std::vector<float>> floats_;  // by worker
  std::vector<Slot> slots_;
  uint64_t bytes_read_ = 0;
};

}  // namespace

std::vector<TensorConversion> plan_quantization(const ModelFile& model,
                                                const QuantizeFileOptions& options) {
  return plan(model, mixture_of(options));
}

QuantizeFileResult quantize_file(const std::string& in, const std::string& out,
                                 const QuantizeFileOptions& options) {
  const WeightMixture mixture = mixture_of(options);
  const ModelFile model = gguf::open(in);
  check_output(model, out);
  QuantizeFileResult result;
  result.tensors = plan(model, mixture);
  result.bytes_in = model.total_bytes();
  for (const TensorConversion& tensor : result.tensors) {
    result.bytes_out += bytes_of(tensor.to, tensor.elements);
    const bool is_exact = tensor.to == tensor.from || tensor.to == WeightType::kF32;
    if (is_quantized(tensor.from) && !is_exact) ++result.requantized;
  }
  gguf::Writer writer(out, new_metadata(model.metadata(), mixture),
                      declarations(model, result.tensors));
  Conversion(model, result.tensors, writer, options).run();
  writer.finish();
  return result;
}

}  // namespace omg
