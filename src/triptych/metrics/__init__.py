"""Metrics: truth or space, and a guess → one float with a direction."""

from __future__ import annotations

from typing import Final

from triptych.core.protocols import Metric
from triptych.core.registry import Registry

registry: Final = Registry(
    "metrics",
    (Metric,),
    {
        "ari": "triptych.metrics.ari:Ari",
        "nmi": "triptych.metrics.nmi:Nmi",
        "ami": "triptych.metrics.ami:Ami",
        "homogeneity": "triptych.metrics.homogeneity:Homogeneity",
        "completeness": "triptych.metrics.completeness:Completeness",
        "majority-accuracy": "triptych.metrics.majority_accuracy:MajorityAccuracy",
        "hungarian-accuracy": "triptych.metrics.hungarian_accuracy:HungarianAccuracy",
        "label-entropy": "triptych.metrics.label_entropy:LabelEntropy",
        "macro-recall": "triptych.metrics.macro_recall:MacroRecall",
        "jaccard": "triptych.metrics.jaccard:JaccardIndex",
        "types-found": "triptych.metrics.types_found:TypesFound",
        "silhouette": "triptych.metrics.silhouette:Silhouette",
        "batch-silhouette": "triptych.metrics.batch_silhouette:BatchSilhouette",
        "ilisi": "triptych.metrics.ilisi:Ilisi",
        "clisi": "triptych.metrics.clisi:Clisi",
        "kbet": "triptych.metrics.kbet:Kbet",
        "pearson": "triptych.metrics.pearson:Pearson",
        "pearson-observations": "triptych.metrics.pearson_observations:PearsonObservations",
        "l1": "triptych.metrics.l1:L1",
        "rmse": "triptych.metrics.rmse:Rmse",
        "jensen-shannon": "triptych.metrics.jensen_shannon:JensenShannon",
        "coverage": "triptych.metrics.coverage:Coverage",
        "interval-width": "triptych.metrics.interval_width:IntervalWidth",
        "dice": "triptych.metrics.dice:Dice",
        "aji": "triptych.metrics.aji:Aji",
        "pq": "triptych.metrics.pq:Pq",
        "pq-pooled": "triptych.metrics.pq_pooled:PqPooled",
        "mpq": "triptych.metrics.mpq:Mpq",
        "mpq-pooled": "triptych.metrics.mpq_pooled:MpqPooled",
        "detection-precision": "triptych.metrics.detection_precision:DetectionPrecision",
        "detection-recall": "triptych.metrics.detection_recall:DetectionRecall",
        "detection-f1": "triptych.metrics.detection_f1:DetectionF1",
        "type-f1": "triptych.metrics.type_f1:TypeF1",
        "count-error": "triptych.metrics.count_error:CountError",
        "graph-connectivity": "triptych.metrics.graph_connectivity:GraphConnectivity",
    },
)
