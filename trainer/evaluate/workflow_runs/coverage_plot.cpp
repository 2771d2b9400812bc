#include "trainer/evaluate/workflow_runs/coverage_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace weft {

namespace {

constexpr double kWidth = 260, kHeight = 210, kLeft = 46, kTop = 30, kRight = 12, kBottom = 36;
constexpr size_t kPanelsInARow = 3;
constexpr double kLegend = 26;

struct Curve {
  const char* key;
  const char* label;
  const char* colour;
  const char* dashes;
};
constexpr Curve kCurves[] = {{"top", "best k workflows, once each", "#1f5fa8", "none"},
                             {"repeated", "best workflow, k times", "#c25a1c", "5 3"}};

/// Axes of a panel: executions 1 .. most, coverage low .. high.
struct Axes {
  double x = 0, y = 0;  ///< of the panel's corner
  size_t most = 1;
  double low = 0, high = 1;

  double across(double k) const {
    const double span = std::max<double>(static_cast<double>(most) - 1, 1);
    return x + kLeft + (k - 1) / span * (kWidth - kLeft - kRight);
  }
  double up(double coverage) const {
    return y + kTop + (high - coverage) / (high - low) * (kHeight - kTop - kBottom);
  }
};

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '<' || c == '>' || c == '&') {
      safe += c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;";
    } else {
      safe += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return safe;
}

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     escaped(text));
}

/// Axes that hold both curves, the coverage on tenths or twentieths.
Axes axes_of(const Json& curves, double x, double y) {
  double least = 1, greatest = 0;
  Axes axes{x, y};
  for (const Curve& curve : kCurves) {
    axes.most = std::max(axes.most, curves[curve.key].size());
    for (const Json& value : curves[curve.key]) {
      least = std::min(least, value.get<double>());
      greatest = std::max(greatest, value.get<double>());
    }
  }
  constexpr double kStep = 0.05;
  axes.low = std::max(0.0, std::floor(least / kStep - 1e-9) * kStep);
  axes.high = std::min(1.0, std::ceil(greatest / kStep + 1e-9) * kStep);
  if (axes.high - axes.low < kStep / 2) axes.low = axes.high - kStep;
  return axes;
}

std::string frame(const Axes& axes, const std::string& title) {
  std::string svg = text_at(axes.x + (kWidth + kLeft) / 2, axes.y + kTop - 12, "middle", title);
  constexpr int kTicks = 4;
  for (int tick = 0; tick <= kTicks; ++tick) {
    const double value = axes.low + (axes.high - axes.low) * tick / kTicks;
    svg += fmt::format(
        "<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>\n",
        axes.x + kLeft, axes.x + kWidth - kRight, axes.up(value), axes.up(value));
    svg += text_at(axes.x + kLeft - 6, axes.up(value) + 4, "end", fmt::format("{:.3f}", value));
  }
  for (size_t k = 1; k <= axes.most; ++k) {
    svg += text_at(axes.across(static_cast<double>(k)), axes.y + kHeight - kBottom + 16, "middle",
                   std::to_string(k));
  }
  return svg + text_at(axes.x + (kWidth + kLeft) / 2, axes.y + kHeight - 4, "middle",
                       "executions of a query");
}

std::string drawn(const Axes& axes, const Json& values, const Curve& curve) {
  std::string points, marks;
  for (size_t k = 1; k <= values.size(); ++k) {
    const double x = axes.across(static_cast<double>(k)), y = axes.up(values[k - 1].get<double>());
    points += fmt::format("{:.1f},{:.1f} ", x, y);
    marks += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>\n", x, y,
                         curve.colour);
  }
  return fmt::format(
             "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" "
             "stroke-dasharray=\"{}\"/>\n",
             points, curve.colour, curve.dashes) +
         marks;
}

std::string legend() {
  std::string svg;
  double x = kLeft;
  for (const Curve& curve : kCurves) {
    svg += fmt::format(
        "<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"14\" y2=\"14\" stroke=\"{}\" stroke-width=\"1.8\" "
        "stroke-dasharray=\"{}\"/>\n",
        x, x + 28, curve.colour, curve.dashes);
    svg += text_at(x + 34, 18, "start", curve.label);
    x += kWidth - 20;
  }
  return svg;
}

}  // namespace

std::string coverage_plot(const Json& sets) {
  const size_t columns = std::clamp<size_t>(sets.size(), 2, kPanelsInARow);
  const size_t rows = (sets.size() + columns - 1) / columns;
  const double width = kWidth * static_cast<double>(columns);
  const double height = kHeight * static_cast<double>(rows) + kLegend;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" font-family=\"sans-serif\" font-size=\"11\" role=\"img\">\n"
      "<title>Coverage against executions of a query</title>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
      width, height);
  svg += legend();
  for (size_t i = 0; i < sets.size(); ++i) {
    const Json& curves = sets[i]["coverage"]["curve"];
    const double x = kWidth * static_cast<double>(i % columns);
    const Axes axes = axes_of(curves, x, kLegend + kHeight * static_cast<double>(i / columns));
    svg += frame(axes, sets[i]["dataset"].get<std::string>());
    for (const Curve& curve : kCurves) svg += drawn(axes, curves[curve.key], curve);
  }
  return svg + "</svg>\n";
}

}  // namespace weft
