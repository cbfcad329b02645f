// SPDX-License-Identifier: Apache-2.0
//
// The writer: the whole header in memory, then the data through one buffer.
#include "formats/gguf/writer.h"

#include <cassert>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <unordered_set>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/utf8.h"
#include "formats/gguf/format.h"

namespace omg::gguf {
namespace {

/// Small pieces are gathered into writes of this size, large enough that a disk runs at full speed.
constexpr size_t kBufferBytes = size_t{4} << 20;

/// Bytes of a header under construction.
class HeaderBytes {
 public:
  template <typename T>
  void number(T value) {
    raw(std::as_bytes(std::span(&value, 1)));
  }
  void string(std::string_view text) {
    number(uint64_t{text.size()});
    bytes_ += text;
  }
  void raw(std::span<const std::byte> bytes) {
    bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void pad(uint64_t alignment) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
  }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }

 private:
  std::string bytes_;
};

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, "cannot write " + path + ": " + why);
}

void append_array(HeaderBytes& header, const MetadataArray& array) {
  header.number(static_cast<uint32_t>(array.element_type));
  header.number(array.count);
  for (const auto text : array.strings) header.string(text);
  header.raw(array.bytes);
}

void append_value(HeaderBytes& header, const MetadataValue& value) {
  header.number(static_cast<uint32_t>(value.type));
  const auto u = [&] { return std::get<uint64_t>(value.data); };
  const auto i = [&] { return std::get<int64_t>(value.data); };
  switch (value.type) {
    case MetadataType::kU8:
      return header.number(static_cast<uint8_t>(u()));
    case MetadataType::kI8:
      return header.number(static_cast<int8_t>(i()));
    case MetadataType::kU16:
      return header.number(static_cast<uint16_t>(u()));
    case MetadataType::kI16:
      return header.number(static_cast<int16_t>(i()));
    case MetadataType::kU32:
      return header.number(static_cast<uint32_t>(u()));
    case MetadataType::kI32:
      return header.number(static_cast<int32_t>(i()));
    case MetadataType::kF32:
      return header.number(static_cast<float>(std::get<double>(value.data)));
    case MetadataType::kBool:
      return header.number(static_cast<uint8_t>(std::get<bool>(value.data)));
    case MetadataType::kString:
      return header.string(std::get<std::string_view>(value.data));
    case MetadataType::kArray:
      return append_array(header, std::get<MetadataArray>(value.data));
    case MetadataType::kU64:
      return header.number(u());
    case MetadataType::kI64:
      return header.number(i());
    case MetadataType::kF64:
      return header.number(std::get<double>(value.data));
  }
}

/// Refuses what the reader would refuse, so that a file that was written can be read.
void append_metadata(HeaderBytes& header, const Metadata& metadata, const std::string& path) {
  uint64_t strings = 0;
  for (const auto& [key, value] : metadata.entries()) {
    if (key.empty() || key.size() > kMaxKeyBytes || !is_valid_utf8(key)) {
      refuse(path, "metadata key '" + std::string(key) + "' is empty, too long or not UTF-8");
    }
    const auto* array = std::get_if<MetadataArray>(&value.data);
    const auto* text = std::get_if<std::string_view>(&value.data);
    if (array) strings += array->strings.size();
    if ((array && array->count > kMaxArrayElements) || strings > kMaxArrayStrings ||
        (text && text->size() > kMaxStringBytes)) {
      refuse(path, "the value of key '" + std::string(key) + "' is too long");
    }
    header.string(key);
    append_value(header, value);
  }
}

/// Bytes of the tensor's data, without padding.
uint64_t checked_size(const TensorDeclaration& tensor, const std::string& path) {
  const auto fail = [&](const std::string& why) {
    refuse(path, "tensor '" + tensor.name + "' " + why);
  };
  if (tensor.name.empty() || tensor.name.size() > kMaxTensorNameBytes ||
      !is_valid_utf8(tensor.name)) {
    fail("has no valid name");
  }
  if (tensor.rank < 1 || tensor.rank > kMaxRank) fail("has no rank from 1 to 4");
  auto bytes = row_bytes(tensor.type, tensor.shape[0]);
  if (!bytes) fail("has rows that are no whole number of blocks");
  for (uint32_t i = 0; i < kMaxRank; ++i) {
    if (tensor.shape[i] == 0 || (i >= tensor.rank && tensor.shape[i] != 1)) {
      fail("has a shape that does not fit its rank");
    }
    if (i > 0 && bytes) bytes = checked_mul(*bytes, tensor.shape[i]);
  }
  if (!bytes) fail("is too large");
  return *bytes;
}

/// Makes a rename survive a power cut. File systems that cannot sync a folder need not.
void sync_folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

struct Writer::State {
  std::string path;
  std::string temporary;
  int fd = -1;
  uint64_t alignment = kDefaultAlignment;
  std::vector<TensorDeclaration> tensors;
  std::vector<uint64_t> sizes;
  size_t current = 0;              // index of the tensor being written
  uint64_t written_of_tensor = 0;  // its bytes so far
  std::vector<std::byte> buffer;

  ~State() {
    if (fd < 0) return;
    ::close(fd);
    ::unlink(temporary.c_str());
  }

  void create();
  void append(std::span<const std::byte> data);
  void flush();
  void write_out(std::span<const std::byte> data);
  void end_tensor();
};

void Writer::State::create() {
  // No O_EXCL: a crashed writer may have left the file and its process number may come again (in
  // a container it always does). The lock keeps two living writers apart.
  fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) throw system_error("cannot create " + temporary, errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    ::close(std::exchange(fd, -1));
    throw Error(ErrorCode::kIo, "cannot create " + temporary + ": it is being written already");
  }
  if (::ftruncate(fd, 0) != 0) throw system_error("cannot empty " + temporary, errno);
}

void Writer::State::append(std::span<const std::byte> data) {
  if (buffer.size() + data.size() > kBufferBytes) flush();
  if (data.size() >= kBufferBytes) return write_out(data);
  buffer.insert(buffer.end(), data.begin(), data.end());
}

void Writer::State::flush() {
  write_out(buffer);
  buffer.clear();
}

void Writer::State::write_out(std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t count = ::write(fd, data.data(), data.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error("cannot write " + temporary, errno);
    data = data.subspan(static_cast<size_t>(count));
  }
}

void Writer::State::end_tensor() {
  const uint64_t padding = (alignment - sizes[current] % alignment) % alignment;
  buffer.insert(buffer.end(), padding, std::byte{0});
  written_of_tensor = 0;
  ++current;
}

Writer::Writer(const std::string& path, const Metadata& metadata,
               std::vector<TensorDeclaration> tensors)
    : state_(std::make_unique<State>()) {
  state_->path = path;
  state_->temporary = path + ".partial-" + std::to_string(::getpid());
  state_->tensors = std::move(tensors);
  if (state_->tensors.size() > kMaxTensors) refuse(path, "it has too many tensors");
  if (metadata.entries().size() > kMaxKeys) refuse(path, "it has too many metadata keys");
  state_->alignment = metadata.find_u64(kAlignmentKey).value_or(kDefaultAlignment);
  if (!is_valid_alignment(state_->alignment)) refuse(path, "its alignment is no power of two");

  HeaderBytes header;
  header.number(kMagic);
  header.number(kVersion);
  header.number(uint64_t{state_->tensors.size()});
  header.number(uint64_t{metadata.entries().size()});
  append_metadata(header, metadata, path);
  std::unordered_set<std::string_view> names;
  uint64_t offset = 0;
  for (const auto& tensor : state_->tensors) {
    state_->sizes.push_back(checked_size(tensor, path));
    if (!names.insert(tensor.name).second) {
      refuse(path, "tensor '" + tensor.name + "' is declared twice");
    }
    header.string(tensor.name);
    header.number(tensor.rank);
    for (uint32_t i = 0; i < tensor.rank; ++i) header.number(tensor.shape[i]);
    header.number(static_cast<uint32_t>(tensor.type));
    header.number(offset);
    const auto end = checked_add(offset, state_->sizes.back());
    const auto next = end ? checked_align_up(*end, state_->alignment) : std::nullopt;
    if (!next) refuse(path, "its tensors are too large");
    offset = *next;
  }
  header.pad(state_->alignment);

  state_->create();
  state_->buffer.reserve(kBufferBytes);
  state_->append(header.bytes());
}

Writer::~Writer() = default;

void Writer::write(std::span<const std::byte> data) {
  State& state = *state_;
  assert(state.fd >= 0);
  if (data.empty()) return;
  if (state.current == state.tensors.size()) {
    refuse(state.path, "more data comes than its tensors hold");
  }
  const uint64_t missing = state.sizes[state.current] - state.written_of_tensor;
  if (data.size() > missing) {
    refuse(state.path, "tensor '" + state.tensors[state.current].name + "' gets " +
                           std::to_string(data.size() - missing) +
                           " bytes more than were declared");
  }
  state.append(data);
  state.written_of_tensor += data.size();
  if (data.size() == missing) state.end_tensor();
}

void Writer::finish() {
  State& state = *state_;
  assert(state.fd >= 0);
  if (state.current != state.tensors.size()) {
    refuse(state.path, "tensor '" + state.tensors[state.current].name + "' is not complete");
  }
  state.flush();
  if (::fsync(state.fd) != 0) throw system_error("cannot sync " + state.temporary, errno);
  if (::rename(state.temporary.c_str(), state.path.c_str()) != 0) {
    throw system_error("cannot rename " + state.temporary + " to " + state.path, errno);
  }
  ::close(std::exchange(state.fd, -1));
  sync_folder_of(state.path);
}

}  // namespace omg::gguf
