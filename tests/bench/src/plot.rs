//! Lines of a report as SVG.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::report::{Report, Series};

const COLOURS: [RGBColor; 4] =
    [RGBColor(31, 119, 180), RGBColor(214, 90, 40), RGBColor(44, 140, 70), RGBColor(120, 80, 160)];

/// Writes one file for each plot.
pub fn draw(folder: &Path, report: &Report) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut plots: BTreeMap<&str, Vec<&Series>> = BTreeMap::new();
    for series in &report.series {
        plots.entry(series.plot).or_default().push(series);
    }
    for (name, series) in plots {
        plot(&folder.join(format!("{name}.svg")), name, &series)
            .map_err(|error| anyhow!("{name}: {error}"))?;
    }
    Ok(())
}

fn plot(file: &Path, name: &str, lines: &[&Series]) -> Result<(), Box<dyn std::error::Error>> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let right = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let top = points().map(|(_, y)| *y).fold(0.0, f64::max) * 1.1;
    let root = SVGBackend::new(file, (720, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(name, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..right * 1.05, 0.0..top)?;
    let (x, y) = lines.first().map_or(("", ""), |line| (line.x, line.y));
    chart.configure_mesh().x_desc(x).y_desc(y).light_line_style(WHITE).draw()?;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.clone(), style).point_size(4))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
    root.present()?;
    Ok(())
}
