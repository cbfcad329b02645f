// SPDX-License-Identifier: Apache-2.0
//
// One spelling of each thing.
#include "net/server/request_parser.h"

#include <algorithm>

#include "base/utf8.h"

namespace omg {
namespace {

// A client that sends megabytes of chunk extensions for a few bytes of body wants to keep us busy.
constexpr size_t kMaxOverhead = 16u << 10;
constexpr size_t kMaxSizeLine = 1024;
constexpr size_t kMaxMethod = 32;

[[noreturn]] void refuse(int status, const std::string& why) {
  throw HttpRefusal(status, "the request is not understood: " + why);
}

/// RFC 9110, 5.6.2.
bool is_token_char(char c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

/// What may stand in a field's value: visible characters, spaces, tabs, and bytes beyond ASCII.
bool is_field_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// A line without its CRLF. Bare CR and bare LF end no line here, and stand in none.
std::string_view strip_line_end(std::string_view line) {
  if (line.size() < 2 || line[line.size() - 2] != '\r') {
    refuse(400, "a line ends without a carriage return");
  }
  return line.substr(0, line.size() - 2);
}

HttpHeaders::Field parse_field(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') refuse(400, "a header line is folded");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) refuse(400, "a header line has no colon");
  const std::string_view name = line.substr(0, colon);
  if (!is_http_token(name)) refuse(400, "a header's name has characters that it may not have");
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (!is_http_field_value(value)) {
    refuse(400, "a header's value has control characters");
  }
  return {std::string(name), std::string(value)};
}

/// The only field of that name; nothing where there is none.
std::optional<std::string_view> find_single(const HttpHeaders& headers, std::string_view name) {
  std::optional<std::string_view> found;
  for (const HttpHeaders::Field& field : headers.fields()) {
    if (!equal_without_case(field.name, name)) continue;
    if (found) refuse(400, "the header " + std::string(name) + " stands there twice");
    found = field.value;
  }
  return found;
}

uint64_t parse_content_length(std::string_view text) {
  uint64_t value = 0;
  if (text.empty() || text.size() > 18) refuse(400, "Content-Length is not a number");
  for (const char c : text) {
    if (c < '0' || c > '9') refuse(400, "Content-Length is not a number");
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

/// uri-host [":" port] of RFC 3986.
void check_host(std::string_view host) {
  std::string_view name = host;
  std::string_view port;
  if (name.starts_with('[')) {
    const size_t end = name.find(']');
    if (end == std::string_view::npos) refuse(400, "Host has no closing bracket");
    port = name.substr(end + 1);
    name = name.substr(1, end - 1);
    if (name.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos) {
      refuse(400, "Host is no address");
    }
  } else if (const size_t colon = name.find(':'); colon != std::string_view::npos) {
    port = name.substr(colon);
    name = name.substr(0, colon);
  }
  const auto is_host_char = [](char c) {
    return (is_token_char(c) || std::string_view("()*,;=:").find(c) != std::string_view::npos) &&
           std::string_view("#^`|").find(c) == std::string_view::npos;
  };
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_host_char)) {
    refuse(400, "Host is no host");
  }
  if (!port.empty() && (port.front() != ':' || port.size() > 6 ||
                        port.find_first_not_of("0123456789", 1) != std::string_view::npos)) {
    refuse(400, "Host has a port that is none");
  }
}

/// Percent-decoding; in a query '+' is a space.
std::string decode(std::string_view text, bool plus_is_space) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && plus_is_space) c = ' ';
    if (c == '%') {
      const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) refuse(400, "the target has a broken percent-escape");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    result += c;
  }
  if (!is_valid_utf8(result)) refuse(400, "the target is not UTF-8");
  if (result.find('\0') != std::string::npos) refuse(400, "the target has a NUL");
  return result;
}

/// A decoded part of a path may hold slashes (names of models do), but must not climb.
void check_part(std::string_view part) {
  for (const char c : part) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) refuse(400, "the path has control characters");
  }
  while (true) {
    const size_t end = part.find_first_of("/\\");
    const std::string_view piece = part.substr(0, end);
    if (piece == "." || piece == "..") refuse(400, "the path has the part '.' or '..'");
    if (end == std::string_view::npos) return;
    part.remove_prefix(end + 1);
  }
}

/// Whether `text` is what may follow a chunk's size (RFC 9112, 7.1.1): ";name", ";name=value" or
/// ";name="quoted value"", any number of them, without spaces between.
bool is_chunk_extension(std::string_view text) {
  const auto skip_token = [&text] {
    const auto end = std::find_if_not(text.begin(), text.end(), is_token_char);
    const auto size = static_cast<size_t>(end - text.begin());
    text.remove_prefix(size);
    return size > 0;
  };
  while (!text.empty()) {
    if (text.front() != ';') return false;
    text.remove_prefix(1);
    if (!skip_token()) return false;
    if (!text.starts_with('=')) continue;
    text.remove_prefix(1);
    if (!text.starts_with('"')) {
      if (!skip_token()) return false;
      continue;
    }
    size_t end = 1;
    while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
    if (end >= text.size() || !is_http_field_value(text.substr(0, end))) return false;
    text.remove_prefix(end + 1);
  }
  return true;
}

/// The items of a comma-separated list that are not empty.
template <typename Call>
void for_each_item(std::string_view list, Call call) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    if (const std::string_view item = trimmed(list.substr(0, end)); !item.empty()) call(item);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
}

/// What nobody can read is not guessed at: this header says where the message ends.
void check_connection(const HttpHeaders& headers) {
  for (const HttpHeaders::Field& field : headers.fields()) {
    if (!equal_without_case(field.name, "Connection")) continue;
    for_each_item(field.value, [](std::string_view item) {
      if (!is_http_token(item)) refuse(400, "the header Connection is no list of words");
    });
  }
}

}  // namespace

bool is_http_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

bool is_http_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), is_field_char);
}

size_t RequestHeadParser::take(std::string_view bytes) {
  size_t used = 0;
  while (!done_) {
    const std::string_view rest = bytes.substr(used);
    if (!begun_ && !rest.empty() && rest.front() != '\r' && !is_token_char(rest.front())) {
      refuse(400, "it does not begin with a method (is it TLS, sent to a port without?)");
    }
    const size_t end = rest.find('\n');
    check_size(rest.substr(0, end));
    if (end == std::string_view::npos) break;
    take_line(strip_line_end(rest.substr(0, end + 1)));
    used += end + 1;
    bytes_ += end + 1;
  }
  return used;
}

void RequestHeadParser::check_size(std::string_view rest) const {
  if (!begun_) {  // the request line
    const size_t space = rest.find(' ');
    if (std::min(space, rest.size()) > kMaxMethod) refuse(400, "its method is too long");
    if (rest.size() > limits_.max_target_bytes + kMaxMethod + 16) {
      throw HttpRefusal(414, "the target is too long: at most " +
                                 std::to_string(limits_.max_target_bytes) + " bytes are read");
    }
  }
  if (bytes_ + rest.size() > limits_.max_header_bytes) {
    throw HttpRefusal(431, "the headers are too long: at most " +
                               std::to_string(limits_.max_header_bytes) + " bytes are read");
  }
}

void RequestHeadParser::take_line(std::string_view line) {
  if (!begun_) {
    // RFC 9112, 2.2: an empty line before a request is a leftover of the one before.
    if (line.empty() && !skipped_empty_line_) {
      skipped_empty_line_ = true;
      return;
    }
    take_request_line(line);
    begun_ = true;
    return;
  }
  if (line.empty()) {
    finish_headers();
    done_ = true;
    return;
  }
  if (head_.headers.fields().size() >= limits_.max_header_fields) {
    throw HttpRefusal(431, "there are too many headers: at most " +
                               std::to_string(limits_.max_header_fields) + " are read");
  }
  HttpHeaders::Field field = parse_field(line);
  head_.headers.add(std::move(field.name), std::move(field.value));
}

void RequestHeadParser::take_request_line(std::string_view line) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    refuse(400, "the first line is not 'METHOD target HTTP/1.1'");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_http_token(method)) refuse(400, "its method is none");
  if (target.size() > limits_.max_target_bytes) {
    throw HttpRefusal(414, "the target is too long: at most " +
                               std::to_string(limits_.max_target_bytes) + " bytes are read");
  }
  const auto is_target_char = [](char c) { return c > ' ' && c < 0x7f; };
  if (target.empty() || !std::all_of(target.begin(), target.end(), is_target_char)) {
    refuse(400, "the target has characters that it may not have");
  }
  if (version.size() != 8 || !version.starts_with("HTTP/") || version[6] != '.' ||
      hex_digit(version[5]) < 0 || hex_digit(version[5]) > 9 || hex_digit(version[7]) < 0 ||
      hex_digit(version[7]) > 9) {
    refuse(400, "the first line is not 'METHOD target HTTP/1.1'");
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    throw HttpRefusal(505, "this server speaks HTTP/1.1 and 1.0, not " + std::string(version));
  }
  head_.method = method;
  head_.target = target;
  head_.minor_version = version[7] - '0';
}

void RequestHeadParser::finish_headers() {
  const HttpHeaders& headers = head_.headers;
  if (const auto host = find_single(headers, "Host")) {
    check_host(*host);
    head_.host = *host;
  } else if (head_.minor_version == 1) {
    refuse(400, "there is no Host");
  }
  if (const auto length = find_single(headers, "Content-Length")) {
    head_.content_length = parse_content_length(*length);
  }
  if (const auto coding = find_single(headers, "Transfer-Encoding")) {
    if (head_.content_length) refuse(400, "it has a Content-Length and a Transfer-Encoding");
    if (head_.minor_version == 0) refuse(400, "HTTP/1.0 has no Transfer-Encoding");
    if (!equal_without_case(*coding, "chunked")) {
      throw HttpRefusal(501, "only the Transfer-Encoding 'chunked' is understood");
    }
    head_.chunked = true;
  }
  if (const auto expect = find_single(headers, "Expect")) {
    if (!equal_without_case(*expect, "100-continue")) {
      throw HttpRefusal(417, "only '100-continue' can be expected of this server");
    }
    head_.expects_continue = head_.minor_version == 1 && head_.has_body();
  }
  check_connection(headers);
  head_.keep_alive =
      !header_lists(headers, "Connection", "close") &&
      (head_.minor_version == 1 || header_lists(headers, "Connection", "keep-alive"));
}

RequestHead RequestHeadParser::finish() {
  RequestHead head = std::move(head_);
  head_ = RequestHead();
  bytes_ = 0;
  begun_ = skipped_empty_line_ = done_ = false;
  return head;
}

BodyDecoder::BodyDecoder(const RequestHead& head, uint64_t max_bytes)
    : max_bytes_(max_bytes), chunked_(head.chunked) {
  left_ = head.content_length.value_or(0);
  if (left_ > max_bytes) {
    throw HttpRefusal(413, "the body is too large: it has " + std::to_string(left_) +
                               " bytes, and at most " + std::to_string(max_bytes) +
                               " are taken here");
  }
  if (chunked_) state_ = State::kSize;
  done_ = !head.has_body();
}

size_t BodyDecoder::take(std::string_view bytes, std::string& out, size_t room) {
  size_t used = 0;
  while (!done_) {
    const std::string_view rest = bytes.substr(used);
    if (state_ == State::kData) {
      const size_t taken = take_data(rest, out, room);
      if (taken == 0) break;
      used += taken;
      room -= taken;
      continue;
    }
    const size_t end = rest.find('\n');
    if (std::min(end, rest.size()) > kMaxSizeLine) refuse(400, "a line of a chunk is too long");
    if (end == std::string_view::npos) break;
    const std::string_view line = strip_line_end(rest.substr(0, end + 1));
    if (state_ == State::kSize) {
      take_size_line(line);
    } else if (state_ == State::kDataEnd) {
      if (!line.empty()) refuse(400, "a chunk is longer than it says");
      state_ = State::kSize;
    } else {
      take_trailer_line(line);
    }
    used += end + 1;
  }
  return used;
}

size_t BodyDecoder::take_data(std::string_view bytes, std::string& out, size_t room) {
  const size_t count = static_cast<size_t>(std::min<uint64_t>(left_, std::min(bytes.size(), room)));
  out.append(bytes.substr(0, count));
  left_ -= count;
  received_ += count;
  if (left_ == 0) {
    if (chunked_) {
      state_ = State::kDataEnd;
    } else {
      done_ = true;
    }
  }
  return count;
}

void BodyDecoder::take_size_line(std::string_view line) {
  const size_t digits = std::min(line.find(';'), line.size());
  if (digits == 0 || digits > 15) refuse(400, "a chunk's size is no number");
  uint64_t size = 0;
  for (const char c : line.substr(0, digits)) {
    const int digit = hex_digit(c);
    if (digit < 0) refuse(400, "a chunk's size is no number");
    size = size * 16 + static_cast<uint64_t>(digit);
  }
  const std::string_view extension = line.substr(digits);
  if (!is_chunk_extension(extension)) refuse(400, "a chunk's extension is none");
  overhead_ += extension.size();
  if (overhead_ > kMaxOverhead) refuse(400, "the chunks have too many extensions");
  if (size > max_bytes_ - received_) {
    throw HttpRefusal(413, "the body is too large: at most " + std::to_string(max_bytes_) +
                               " bytes are taken here");
  }
  left_ = size;
  state_ = size == 0 ? State::kTrailer : State::kData;
}

void BodyDecoder::take_trailer_line(std::string_view line) {
  if (line.empty()) {
    done_ = true;
    return;
  }
  // Checked, and not used; but what says where messages end or go must not come late.
  const HttpHeaders::Field field = parse_field(line);
  for (const char* name : {"Content-Length", "Transfer-Encoding", "Host", "Connection"}) {
    if (equal_without_case(field.name, name)) refuse(400, "a trailer says how the message is read");
  }
  overhead_ += line.size();
  if (overhead_ > kMaxOverhead) refuse(400, "the trailers are too long");
}

RequestTarget parse_target(std::string_view target) {
  RequestTarget result;
  if (target == "*") {
    result.path = "*";
    result.parts = {"*"};
    return result;
  }
  if (!target.starts_with('/')) refuse(400, "the target is not a path");
  if (target.find('#') != std::string_view::npos) refuse(400, "the target has a fragment");
  const size_t mark = target.find('?');
  std::string_view path = target.substr(0, mark);
  result.path.reserve(path.size());
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const size_t end = std::min(path.find('/'), path.size());
    result.parts.push_back(decode(path.substr(0, end), false));
    check_part(result.parts.back());
    result.path += '/' + result.parts.back();
    path.remove_prefix(end);
  }
  if (mark == std::string_view::npos) return result;
  std::string_view query = target.substr(mark + 1);
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    const size_t equals = std::min(pair.find('='), pair.size());
    if (!pair.empty()) {
      const std::string_view value = pair.substr(std::min(equals + 1, pair.size()));
      result.query.push_back({decode(pair.substr(0, equals), true), decode(value, true)});
    }
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return result;
}

bool header_lists(const HttpHeaders& headers, std::string_view name, std::string_view token) {
  bool found = false;
  for (const HttpHeaders::Field& field : headers.fields()) {
    if (!equal_without_case(field.name, name)) continue;
    for_each_item(field.value,
                  [&](std::string_view item) { found = found || equal_without_case(item, token); });
  }
  return found;
}

}  // namespace omg
