// SPDX-License-Identifier: Apache-2.0
//
// Dates for `strftime_now`, without the C library's locale. Source: POSIX strftime; glibc's flags
// '-', '_', '0', '^'.
#include <array>
#include <chrono>
#include <ctime>

#include "text/template/filters.h"
#include "text/template/text.h"

namespace omg::jinja {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};

struct LocalTime {
  int year, month, day;  // month and day from 1
  int hour, minute, second;
  int week_day;  // from Sunday
  int year_day;  // from 1
  int64_t epoch;
};

LocalTime from_wall_time(std::chrono::sys_seconds wall) {
  using namespace std::chrono;
  const sys_days day = floor<days>(wall);
  const year_month_day date{day};
  const hh_mm_ss time{wall - day};
  const sys_days new_year{date.year() / January / 1};
  LocalTime local{};
  local.year = static_cast<int>(date.year());
  local.month = static_cast<int>(static_cast<unsigned>(date.month()));
  local.day = static_cast<int>(static_cast<unsigned>(date.day()));
  local.hour = static_cast<int>(time.hours().count());
  local.minute = static_cast<int>(time.minutes().count());
  local.second = static_cast<int>(time.seconds().count());
  local.week_day = static_cast<int>(weekday{day}.c_encoding());
  local.year_day = static_cast<int>((day - new_year).count()) + 1;
  local.epoch = wall.time_since_epoch().count();
  return local;
}

LocalTime local_now(const RenderOptions& options) {
  if (options.now) return from_wall_time(*options.now);
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  LocalTime local = from_wall_time(
      std::chrono::sys_seconds(std::chrono::seconds(static_cast<int64_t>(now) + parts.tm_gmtoff)));
  local.epoch = now;
  return local;
}

/// ISO 8601 week: the year it belongs to, and its number.
std::pair<int, int> iso_week(const LocalTime& time) {
  const int monday_based = (time.week_day + 6) % 7;
  const int week = (time.year_day - 1 - monday_based + 10) / 7;
  const auto weeks_in = [](int year) {
    using namespace std::chrono;
    const auto first = weekday{sys_days{std::chrono::year{year} / January / 1}};
    const bool leap = std::chrono::year{year}.is_leap();
    return first == Thursday || (leap && first == Wednesday) ? 53 : 52;
  };
  if (week < 1) return {time.year - 1, weeks_in(time.year - 1)};
  if (week > weeks_in(time.year)) return {time.year + 1, 1};
  return {time.year, week};
}

class TimeFormatter {
 public:
  explicit TimeFormatter(const LocalTime& time) : time_(time) {}

  void run(std::string_view format, std::string& out) const {
    for (size_t at = 0; at < format.size(); ++at) {
      if (format[at] != '%' || at + 1 >= format.size()) {
        out.push_back(format[at]);
        continue;
      }
      const size_t start = at++;
      char flag = 0;
      if (at + 1 < format.size() && std::string_view("-_0^").find(format[at]) != format.npos) {
        flag = format[at++];
      }
      if (!field(format[at], flag, out)) out += format.substr(start, at - start + 1);
    }
  }

 private:
  static void number(std::string& out, int64_t value, size_t width, char fill, char flag) {
    std::string text = std::to_string(value);
    if (flag == '_') fill = ' ';
    if (flag == '0') fill = '0';
    if (flag != '-' && text.size() < width) text.insert(0, width - text.size(), fill);
    out += text;
  }

  static void word(std::string& out, std::string_view text, char flag) {
    out += flag == '^' ? to_upper(text) : std::string(text);
  }

  int hour12() const { return time_.hour % 12 == 0 ? 12 : time_.hour % 12; }

  bool field(char code, char flag, std::string& out) const {
    return word_field(code, flag, out) || number_field(code, flag, out) ||
           composed_field(code, out);
  }

  bool word_field(char code, char flag, std::string& out) const {
    const std::string_view day = kDays[static_cast<size_t>(time_.week_day)];
    const std::string_view month = kMonths[static_cast<size_t>(time_.month - 1)];
    switch (code) {
      case 'a':
        word(out, day.substr(0, 3), flag);
        return true;
      case 'A':
        word(out, day, flag);
        return true;
      case 'b':
      case 'h':
        word(out, month.substr(0, 3), flag);
        return true;
      case 'B':
        word(out, month, flag);
        return true;
      case 'p':
        out += time_.hour < 12 ? "AM" : "PM";
        return true;
      case 'P':
        out += time_.hour < 12 ? "am" : "pm";
        return true;
      case 'z':  // Python's datetime.now() knows no zone
      case 'Z':
        return true;
      case '%':
        out += '%';
        return true;
      case 'n':
        out += '\n';
        return true;
      case 't':
        out += '\t';
        return true;
      default:
        return false;
    }
  }

  bool number_field(char code, char flag, std::string& out) const {
    const auto put = [&](int64_t value, size_t width, char fill = '0') {
      number(out, value, width, fill, flag);
      return true;
    };
    const int monday_based = (time_.week_day + 6) % 7;
    switch (code) {
      case 'd':
        return put(time_.day, 2);
      case 'e':
        return put(time_.day, 2, ' ');
      case 'm':
        return put(time_.month, 2);
      case 'y':
        return put(time_.year % 100, 2);
      case 'Y':
        return put(time_.year, 1);
      case 'C':
        return put(time_.year / 100, 2);
      case 'H':
        return put(time_.hour, 2);
      case 'k':
        return put(time_.hour, 2, ' ');
      case 'I':
        return put(hour12(), 2);
      case 'l':
        return put(hour12(), 2, ' ');
      case 'M':
        return put(time_.minute, 2);
      case 'S':
        return put(time_.second, 2);
      case 'f':
        return put(0, 6);
      case 'j':
        return put(time_.year_day, 3);
      case 'u':
        return put(monday_based + 1, 1);
      case 'w':
        return put(time_.week_day, 1);
      case 'U':
        return put((time_.year_day + 6 - time_.week_day) / 7, 2);
      case 'W':
        return put((time_.year_day + 6 - monday_based) / 7, 2);
      case 'V':
        return put(iso_week(time_).second, 2);
      case 'G':
        return put(iso_week(time_).first, 1);
      case 'g':
        return put(iso_week(time_).first % 100, 2);
      case 's':
        return put(time_.epoch, 1);
      default:
        return false;
    }
  }

  bool composed_field(char code, std::string& out) const {
    switch (code) {
      case 'c':
        run("%a %b %e %H:%M:%S %Y", out);
        return true;
      case 'D':
      case 'x':
        run("%m/%d/%y", out);
        return true;
      case 'F':
        run("%Y-%m-%d", out);
        return true;
      case 'r':
        run("%I:%M:%S %p", out);
        return true;
      case 'R':
        run("%H:%M", out);
        return true;
      case 'T':
      case 'X':
        run("%H:%M:%S", out);
        return true;
      default:
        return false;
    }
  }

  const LocalTime& time_;
};

}  // namespace

std::string format_time(Runtime& runtime, std::string_view format) {
  // "%c" is the longest field: 24 characters for 2.
  runtime.heap.require(12 * format.size());
  runtime.work(12 * format.size());
  const LocalTime time = local_now(runtime.options());
  std::string out;
  TimeFormatter(time).run(format, out);
  return out;
}

}  // namespace omg::jinja
