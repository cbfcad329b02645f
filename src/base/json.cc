// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <boost/json/stream_parser.hpp>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace omg {

json::value parse_json(std::string_view text, std::string_view what, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    throw Error(ErrorCode::kLimitExceeded,
                std::string(what) + " is too large: " + std::to_string(text.size()) +
                    " bytes of JSON, the limit is " + std::to_string(limits.max_bytes));
  }
  json::parse_options options;
  options.max_depth = limits.max_depth;
  json::stream_parser parser({}, options);
  boost::system::error_code status;
  const size_t used = parser.write_some(text.data(), text.size(), status);
  if (!status && used == text.size()) parser.finish(status);
  if (status || used != text.size()) {
    const std::string why = status ? status.message() : "extra bytes after the document";
    throw Error(ErrorCode::kInvalidArgument, std::string(what) + " is not valid JSON: " + why +
                                                 " at byte " + std::to_string(used));
  }
  return parser.release();
}

json::value parse_json_file(const std::string& path, const JsonLimits& limits) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) throw system_error("cannot open " + path, errno ? errno : EIO);
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) throw system_error("cannot read " + path, errno ? errno : EIO);
  return parse_json(text.view(), path, limits);
}

}  // namespace omg
