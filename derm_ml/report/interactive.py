"""Curves to point at: plotly figures as HTML fragments; the library itself goes into the report once."""

from __future__ import annotations

from derm_ml.report.figures import COLOURS, CURVES, band
from derm_ml.verdict.measures import Measures


def curves_fragment(measures: Measures) -> str:
    """Every place's curves; buttons choose the metric, the legend hides arms. One <div>, without plotly.js."""
    import plotly.graph_objects as go

    comparison = measures.comparison
    metrics = {**CURVES, "val/auroc": "validation macro AUROC", "val/ece": "validation ECE"}
    figure = go.Figure()
    shown = []
    for place in comparison.places:
        for metric in metrics:
            for arm in comparison.arms:
                mean, low, high = band(measures, comparison.of(arm, place), metric)
                epochs = list(range(1, len(mean) + 1))
                first = place == comparison.places[0] and metric == "gap/loss"
                text = [f"{m:.4f} [{a:.4f}, {b:.4f}]" for m, a, b in zip(mean, low, high, strict=True)]
                figure.add_scatter(
                    x=epochs, y=mean.round(5), name=arm, legendgroup=arm, line={"color": COLOURS[arm]}, text=text,
                    hovertemplate="%{text}", visible=first,
                )  # fmt: skip
                shown.append((place, metric))
    buttons = [
        {
            "label": f"{title}: {place.text}",
            "method": "update",
            "args": [{"visible": [each == (place, metric) for each in shown]}, {"yaxis.title.text": title}],
        }
        for place in comparison.places
        for metric, title in metrics.items()
    ]
    active = list(metrics).index("gap/loss")
    menu = {"buttons": buttons, "active": active, "x": 0, "xanchor": "left", "y": 1.15, "yanchor": "bottom"}
    figure.update_layout(
        updatemenus=[menu],
        template="plotly_white",
        height=460,
        margin={"l": 50, "r": 10, "t": 70, "b": 40},
        hovermode="x unified",
        yaxis_title=metrics["gap/loss"],
        xaxis_title="epoch",
        legend={"orientation": "h", "y": -0.2},
    )
    options = {"displaylogo": False, "responsive": True}
    return str(figure.to_html(full_html=False, include_plotlyjs=False, div_id="curves", config=options))


def library() -> str:
    """plotly.js, to be placed in the report: it opens with no network."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
