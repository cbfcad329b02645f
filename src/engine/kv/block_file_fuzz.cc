// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a file of KV blocks: it is taken over or begun anew, what comes out of it has the
// digest that its record says, and a block that is put there then comes back. The first byte says
// whether the header, and whose records, are made right, so that what lies behind is reached.
#include <cstdlib>
#include <cstring>
#include <future>

#include "base/error.h"
#include "engine/kv/block_file.h"
#include "engine/kv/testing/memory_file.h"

namespace {

using namespace omg;

constexpr uint64_t kBytes = 64;
constexpr uint32_t kSlots = 6;

/// Makes the checks of header and records right, whatever they say.
void repair(std::vector<std::byte>& bytes, const BlockFileLayout& layout, unsigned which) {
  if (bytes.size() < layout.slot_at(0)) bytes.resize(layout.slot_at(0));
  const StoredHeader header = encode_header(layout);
  std::memcpy(bytes.data(), header.data(), header.size());
  for (uint32_t slot = 0; slot < layout.records; ++slot) {
    if ((which >> slot & 1) == 0) continue;
    std::byte* record = bytes.data() + layout.record_at(slot);
    const auto digest = [&](size_t at) {
      std::array<uint8_t, Digest::kBytes> value;
      std::memcpy(value.data(), record + at, value.size());
      return Digest(value);
    };
    StoredBlock block{digest(0), digest(32), digest(64)};
    std::memcpy(&block.used, record + 96, sizeof block.used);
    std::memcpy(&block.position, record + 104, sizeof block.position);
    const StoredRecord right = encode_record(layout.key, slot, block);
    std::memcpy(record, right.data(), right.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Digest key = sha256("fuzz");
  BlockFileOptions options{.key = key};
  options.block_bytes = kBytes;
  options.max_bytes = options.most_bytes = BlockFileLayout{key, kBytes, kSlots}.slot_at(kSlots);
  omg::testing::MemoryDisk disk;
  disk.bytes.resize(size - 1);
  if (size > 1) std::memcpy(disk.bytes.data(), data + 1, size - 1);
  const unsigned flags = data[0];
  const auto layout = BlockFileLayout::make(key, kBytes, options.most_bytes);
  if (flags >= 128) repair(disk.bytes, layout, flags);

  BlockFile file(std::make_shared<omg::testing::MemoryFile>(disk), options);
  BlockFile::Read job;
  for (uint32_t slot = 0; slot < layout.records; ++slot) {
    const size_t at = layout.record_at(slot);
    if (disk.bytes.size() < at + Digest::kBytes) break;
    std::array<uint8_t, Digest::kBytes> text;
    std::memcpy(text.data(), disk.bytes.data() + at, text.size());
    if (file.use(Digest(text))) job.texts.push_back(Digest(text));
  }
  const Digest text = sha256("a text");
  std::array<std::byte, kBytes> content{};
  content[5] = std::byte{7};
  file.put(text, key, 0, [&](std::span<std::byte> bytes) {
    std::memcpy(bytes.data(), content.data(), bytes.size());
  });
  job.texts.push_back(text);
  std::promise<size_t> ended;
  bool came = false;
  job.place = [&, count = job.texts.size()](size_t index, std::span<const std::byte> bytes) {
    came = index + 1 == count;
    if (came && std::memcmp(bytes.data(), content.data(), bytes.size()) != 0) std::abort();
    return true;
  };
  job.on_end = [&](size_t count) { ended.set_value(count); };
  file.read(std::move(job));
  ended.get_future().wait();
  if (!file.drain(BlockFile::Clock::now() + std::chrono::seconds(20))) std::abort();
  if (file.blocks() > file.slots()) std::abort();
  return 0;
}
