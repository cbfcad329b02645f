// SPDX-License-Identifier: Apache-2.0
//
// Any bytes either parse or end in an Error, and what parsed can be used.
#include "base/error.h"
#include "formats/gguf/reader.h"

namespace {

template <typename Get>
void try_to(Get get) {
  try {
    get();
  } catch (const omg::Error&) {
  }
}

void use(const omg::gguf::Header& header) {
  const omg::Metadata& metadata = header.metadata;
  for (const auto& entry : metadata.entries()) {
    try_to([&] { metadata.find_u32(entry.key); });
    try_to([&] { metadata.find_u64(entry.key); });
    try_to([&] { metadata.find_f32(entry.key); });
    try_to([&] { metadata.find_bool(entry.key); });
    try_to([&] { metadata.find_string(entry.key); });
    try_to([&] { metadata.get_strings(entry.key); });
    try_to([&] { metadata.find_f32_array(entry.key); });
    try_to([&] { metadata.find_i32_array(entry.key); });
    try_to([&] { metadata.find_bool_array(entry.key); });
  }
  omg::Metadata copy;
  for (const auto& entry : metadata.entries()) copy.copy_entry(entry);
  for (const auto& tensor : header.tensors) {
    if (tensor.bytes.size() != *omg::row_bytes(tensor.type, tensor.shape[0]) * tensor.rows()) {
      __builtin_trap();
    }
    volatile auto sum = static_cast<uint8_t>(tensor.bytes.front() ^ tensor.bytes.back());
    static_cast<void>(sum);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try_to([&] { use(omg::gguf::parse(std::as_bytes(std::span(data, size)), "fuzz.gguf")); });
  return 0;
}
