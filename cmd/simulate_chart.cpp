#include "cmd/simulate_chart.h"

#include <fmt/format.h>

#include <iterator>

namespace xdplb {
namespace {

// Pixels. Two panels side by side, in each a group of bars for every method.
constexpr double kWidth = 1000, kLeft = 150, kPanel = 330, kPanelStep = 420, kTop = 150;
constexpr double kBar = 14, kBarStep = 17, kGroupStep = 4 * kBarStep + 22;
constexpr double kBottom = kTop + kMethods * kGroupStep, kHeight = kBottom + 86;

struct Series {
  const char* name;
  const char* colour;
  double MovedShare::*share;
};

// Colours that the colour-blind tell apart (Okabe and Ito).
constexpr Series kSeries[] = {{"first of the list", "#0072b2", &MovedShare::first},
                              {"middle", "#e69f00", &MovedShare::middle},
                              {"last", "#009e73", &MovedShare::last},
                              {"average of all places", "#8c8c8c", &MovedShare::average}};

class Drawing {
 public:
  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    text_ += '\n';
  }

  void text(double x, double y, const char* attributes, const std::string& words) {
    add(R"(<text x="{:.1f}" y="{:.1f}" {}>{}</text>)", x, y, attributes, words);
  }

  void line(double x1, double y1, double x2, double y2, const char* attributes) {
    add(R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" {}/>)", x1, y1, x2, y2, attributes);
  }

  void bar(double x, double y, double width, double height, const char* colour) {
    add(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>)", x, y, width, height, colour);
  }

  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void draw_legend(Drawing& drawing) {
  double x = kLeft;
  drawing.text(x, 84, R"(class="small")", "Place of the target that comes or goes:");
  x += 245;
  for (const Series& series : kSeries) {
    drawing.bar(x, 73, 14, 14, series.colour);
    drawing.text(x + 20, 84, R"(class="small")", series.name);
    x += 20 + 7.0 * static_cast<double>(std::string_view(series.name).size()) + 20;
  }
}

void draw_axis(Drawing& drawing, double left) {
  for (int percent = 0; percent <= 100; percent += 25) {
    const double x = left + kPanel * percent / 100;
    drawing.line(x, kTop, x, kBottom, percent == 0 ? R"(stroke="#333")" : R"(stroke="#ddd")");
    drawing.text(x, kBottom + 18, R"(class="small" text-anchor="middle")", fmt::format("{} %", percent));
  }
  drawing.text(left + kPanel / 2, kBottom + 40, R"(text-anchor="middle")", "connections that move");
}

void draw_panel(Drawing& drawing, double left, const std::string& title, double unavoidable,
                const SimulationResult& result, MovedShare MethodResult::*change) {
  drawing.text(left, kTop - 32, R"(class="bold")", title);
  draw_axis(drawing, left);
  for (size_t m = 0; m < kMethods; ++m) {
    double y = kTop + 11 + static_cast<double>(m) * kGroupStep;
    for (const Series& series : kSeries) {
      const double share = result[m].*change.*series.share;
      drawing.bar(left, y, kPanel * share, kBar, series.colour);
      drawing.text(left + kPanel * share + 5, y + kBar - 3, R"(class="value")", fmt::format("{:.1f}", 100 * share));
      y += kBarStep;
    }
  }
  const double x = left + kPanel * unavoidable;
  drawing.line(x, kTop - 8, x, kBottom, R"(stroke="#c00000" stroke-width="1.5" stroke-dasharray="5 3")");
  drawing.text(x, kTop - 13, R"(class="small must")", fmt::format("must move: {:.1f} %", 100 * unavoidable));
}

void draw_names(Drawing& drawing, const SimulationResult& result) {
  for (size_t m = 0; m < kMethods; ++m) {
    const double y = kTop + 11 + static_cast<double>(m) * kGroupStep + 2 * kBarStep;
    drawing.text(kLeft - 12, y - 4, R"(class="bold" text-anchor="end")", kMethodNames[m]);
    drawing.text(kLeft - 12, y + 13, R"(class="small" text-anchor="end")",
                 fmt::format("load {:.0f} to {:.0f} %", 100 * result[m].load_least, 100 * result[m].load_most));
  }
}

}  // namespace

std::string simulation_chart(const SimulationInput& input, const SimulationResult& result) {
  const uint32_t n = input.targets;
  Drawing drawing;
  drawing.add(
      R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}">)",
      kWidth, kHeight);
  drawing.add(
      "<style>text {{ font: 14px sans-serif; fill: #222 }} text.small {{ font-size: 12px }} "
      "text.value {{ font-size: 11px; paint-order: stroke; stroke: #fff; stroke-width: 3px }} "
      "text.bold {{ font-weight: bold }} text.must {{ fill: #c00000 }}</style>");
  drawing.add(R"(<rect width="100%" height="100%" fill="#fff"/>)");
  drawing.text(24, 32, R"(class="bold" style="font-size: 18px")",
               "Connections that move when a target comes or goes");
  drawing.text(24, 54, R"(class="small")",
               fmt::format("{} sets of {} targets, table size M={}, {} connections each, seed {}", input.sets, n,
                           input.table_size, input.connections, input.seed));
  drawing.text(24, kHeight - 14, R"(class="small")",
               "load: what the targets with the least and the most have, in percent of an even share");
  draw_legend(drawing);
  draw_names(drawing, result);
  draw_panel(drawing, kLeft, fmt::format("One target added to {}", n), 1.0 / (n + 1), result, &MethodResult::added);
  draw_panel(drawing, kLeft + kPanelStep, fmt::format("One of {} targets removed", n), 1.0 / n, result,
             &MethodResult::removed);
  drawing.add("</svg>");
  return drawing.take();
}

}  // namespace xdplb
