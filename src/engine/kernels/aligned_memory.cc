// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/aligned_memory.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "base/error.h"

namespace omg {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

/// Of an arena. What is not written of the last one does not become resident, up to a huge page.
constexpr size_t kChunkBytes = size_t{256} << 20;

}  // namespace

AlignedBytes::AlignedBytes(size_t size) : size_((size + 63) / 64 * 64) {
  if (size_ == 0) return;
  if (size_ < size) throw Error(ErrorCode::kOutOfMemory, "a buffer larger than the address space");
  const bool is_large = size_ >= 2 * kHugePage;
  const size_t alignment = is_large ? kHugePage : 64;
  const size_t padded = (size_ + alignment - 1) / alignment * alignment;
  if (padded >= size_) data_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, padded)));
  if (!data_) {
    throw Error(ErrorCode::kOutOfMemory, "no memory for " + std::to_string(size_ >> 20) + " MiB");
  }
#if defined(__linux__)
  // What is read from end to end in small pages has a page-table walk every 4 KiB. Only whole
  // pages, so that the rest of the last one does not become resident. A hint: may fail.
  if (is_large) madvise(data_.get(), size_ / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
}

void AlignedBytes::Free::operator()(std::byte* data) const {
  std::free(data);
}

std::span<std::byte> Arena::take(size_t size) {
  const size_t aligned = (size + 63) / 64 * 64;
  if (chunks_.empty() || aligned > chunks_.back().size() - used_) {
    chunks_.emplace_back(std::max(size, kChunkBytes));
    used_ = 0;
  }
  std::byte* const data = chunks_.back().data() + used_;
  used_ += aligned;
  return {data, size};
}

}  // namespace omg
